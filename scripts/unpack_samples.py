"""Takes the sample images out of the fetched packages: unpack_samples.py PACKAGES DESTINATION."""
import pathlib
import sys
import tarfile
import zipfile

# One of each kind: radiographs, CT, MR, ultrasound still and cine, nuclear medicine, colour, palette.
SAMPLES = {
    "radiograph-1.dcm": "RG1_UNCR.dcm",
    "radiograph-2.dcm": "RG3_UNCR.dcm",
    "ct.dcm": "693_UNCR.dcm",
    "ct-lung.dcm": "explicit_VR-UN.dcm",
    "mr.dcm": "MR2_UNCR.dcm",
    "mr-overlays.dcm": "MR-SIEMENS-DICOM-WithOverlays.dcm",
    "nuclear-medicine.dcm": "JPEG-LL.dcm",
    "ultrasound.dcm": "US1_UNCR.dcm",
    "ultrasound-palette.dcm": "OBXXXX1A_rle_2frame.dcm",
    "ultrasound-cine.dcm": "color3d_jpeg_baseline.dcm",
    "report.dcm": "reportsi.dcm",
}


def members(package):
    """Yields the name and a reader of every file of a wheel or a source package."""
    if package.suffix == ".whl":
        archive = zipfile.ZipFile(package)
        for name in archive.namelist():
            yield name, lambda name=name: archive.read(name)
    elif package.name.endswith(".tar.gz"):
        archive = tarfile.open(package)
        for member in archive.getmembers():
            if member.isfile():
                yield member.name, lambda member=member: archive.extractfile(member).read()


def main(packages, destination):
    destination.mkdir(parents=True, exist_ok=True)
    wanted = {source: target for target, source in SAMPLES.items()}
    for package in sorted(packages.iterdir()):
        for name, read in members(package):
            target = wanted.pop(name.rsplit("/", 1)[-1], None)
            if target:
                (destination / target).write_bytes(read())
    if wanted:
        sys.exit(f"error: not in the packages: {', '.join(sorted(wanted))}")
    print(f"{len(SAMPLES)} sample files in {destination}")


main(*map(pathlib.Path, sys.argv[1:3]))
