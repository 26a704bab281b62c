from common import check_binary


def pytest_configure(config):
    check_binary()
