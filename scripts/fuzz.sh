#!/usr/bin/env bash
# Fuzzes: scripts/fuzz.sh [--log] [SECONDS [TARGET...]], by default every target of the codec for 30 s each. `files`, `http`, `network` name those
# of fuzz/src by the file they are in; `all` names all.
# --log adds what was run to docs/assurance/fuzz-log.tsv, or $LOG; the sums are printed against the goal. BUILD=no runs what was built
# before; NICE=N sets the niceness, 19 by default; MAX_LEN=BYTES the longest input and seed, 64 KB by default.
#
# The targets are laid out for cargo-fuzz; this builds them with the same flags, so that a stable toolchain is enough.
. "$(dirname "$0")/lib.sh"

CODEC=(header decode progressive ranges round_trip)
FILES=(walk character_sets jpeg jpeg_ls jpeg_xl rle)
HTTP=(accept range query multipart dicom_json dicom_xml)
NETWORK=(association token)
LOG=${LOG:-docs/assurance/fuzz-log.tsv}
HOST=$(rustc -vV | sed -n 's/^host: //p')
OUT=${CARGO_TARGET_DIR:-$ROOT/target}/fuzz
STAMP=$OUT/commit
SHARED=${FIRSTLIGHT_SHARED:-$ROOT/../shared}
WORK=$CACHE/fuzz
MAX_LEN=${MAX_LEN:-65536}

log=no
if [ "${1:-}" = --log ]; then log=yes; shift; fi
seconds=${1:-30}
[[ $seconds =~ ^[0-9]+$ ]] || die "$seconds is no number of seconds" "scripts/fuzz.sh [--log] [SECONDS [TARGET...]]"
shift || true
targets=()
for name in "${@:-codec}"; do
  case $name in
    codec) targets+=("${CODEC[@]}") ;;
    files) targets+=("${FILES[@]}") ;;
    http) targets+=("${HTTP[@]}") ;;
    network) targets+=("${NETWORK[@]}") ;;
    all) targets+=("${CODEC[@]}" "${FILES[@]}" "${HTTP[@]}" "${NETWORK[@]}") ;;
    *)
      [[ " ${CODEC[*]} ${FILES[*]} ${HTTP[*]} ${NETWORK[*]} " == *" $name "* ]] || die "no target is called $name" "targets are codec (${CODEC[*]}), files (${FILES[*]}), http (${HTTP[*]}), network (${NETWORK[*]})"
      targets+=("$name") ;;
  esac
done

# The crate of a target, and the feature it needs there.
crate_of() { [[ " ${CODEC[*]} " == *" $1 "* ]] && echo crates/htj2k/fuzz || echo fuzz; }
feature_of() {
  [[ " ${FILES[*]} " == *" $1 "* ]] && echo files && return
  [[ " ${HTTP[*]} " == *" $1 "* ]] && echo http && return
  [[ " ${NETWORK[*]} " == *" $1 "* ]] && echo network && return
  true
}

# Comparisons are not traced: that took more than half of the time. The dictionary has the markers instead.
build() {
  local coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table"
  local crate features locked
  for crate in $(for target in "${targets[@]}"; do crate_of "$target"; done | sort -u); do
    features=$(for target in "${targets[@]}"; do [ "$(crate_of "$target")" != "$crate" ] || feature_of "$target"; done | sort -u | paste -sd,)
    # What is fuzzed beside the codec is built of the very crates that the product is built of.
    locked=--locked
    [ "$crate" != fuzz ] || { cp Cargo.lock fuzz/; locked=; }
    # shellcheck disable=SC2086
    RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$OUT RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cforce-frame-pointers $coverage" \
      cargo build --quiet --release $locked --manifest-path "$crate/Cargo.toml" --target "$HOST" --bins --features "$features"
  done
  # The log names what was built, whatever is checked out by then.
  git describe --always --dirty --abbrev=7 --exclude '*' >"$STAMP"
}

# What the fuzzer starts from: real codestreams and objects, in place, small ones of every kind, and what was found before.
seeds() {
  local open=$SHARED/data/open target
  rm -rf "$WORK/seeds"
  for target in "${targets[@]}"; do
    mkdir -p "$WORK/seeds/$target"
    {
      case $target in
        walk) find "$open" "$SHARED/data/reports" -type f -size -40k ! -name '*.j2?' ! -name '*.tsv' ;;
        header | decode | progressive | ranges | round_trip) find "$open/codec" crates/htj2k/fuzz/seeds crates/htj2k/fuzz/corpus-found -name '*.j2[ck]' -size -48k ;;
      esac
      find "fuzz/seeds/$target" "fuzz/corpus-found/$target" -type f
    } 2>/dev/null | while read -r file; do ln -sf "$(realpath "$file")" "$WORK/seeds/$target/"; done || true
  done
  say "seeds: $(find "$WORK/seeds" -type l | wc -l)"
}

# Runs a target; prints executions, CPU seconds and crashes.
run() {
  local target=$1 output=$WORK/$1.log status=0 TIMEFORMAT='%U %S' cpu runs words=()
  [ ! -f "$(crate_of "$target")/$target.dict" ] || words=(-dict="$(crate_of "$target")/$target.dict")
  [ "$(crate_of "$target")" = fuzz ] || words=(-dict=crates/htj2k/fuzz/markers.dict)
  export ASAN_OPTIONS=malloc_context_size=6:quarantine_size_mb=32:allocator_release_to_os_interval_ms=-1
  mkdir -p "$WORK/corpus/$target" "$WORK/artifacts/$target"
  cpu=$({ time nice -n "${NICE:-19}" "$OUT/$HOST/release/$target" "$WORK/corpus/$target" "$WORK/seeds/$target" \
    -max_total_time="$seconds" -max_len="$MAX_LEN" "${words[@]}" -timeout=900 -report_slow_units=300 -rss_limit_mb=1024 -malloc_limit_mb=256 \
    -print_final_stats=1 -artifact_prefix="$WORK/artifacts/$target/" >"$output" 2>&1; } 2>&1) || status=1
  [ "$status" = 0 ] || { grep -aE 'panicked|ERROR|SUMMARY|Test unit written' "$output" >&2 || tail -n 5 "$output" >&2; }
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$output")
  [ -n "$runs" ] || runs=$(grep -aoE '^#[0-9]+' "$output" | tail -n 1 | tr -d '#')
  echo "${runs:-0} $(awk '{ printf "%.0f", $1 + $2 }' <<<"$cpu") $status"
}

sums() {
  awk -F '\t' -v codec=" ${CODEC[*]} " '
    NR > 1 { runs[$2] += $4; crashes[$2] += $6; if (!$6) cpu[$2] += $5 }
    END { for (t in cpu) printf "%-12s %12d executions %7.1f of %d CPU minutes in runs without a finding; %d findings in others\n", t, runs[t], cpu[t] / 60, index(codec, " " t " ") ? 60 : 30, crashes[t] }
  ' "$LOG" | sort
}

[ "${BUILD:-yes}" = no ] || build
seeds
failed=0
for target in "${targets[@]}"; do
  # As many at a time as there are cores.
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
  run "$target" >"$WORK/$target.result" &
done
wait
for target in "${targets[@]}"; do
  read -r runs cpu crashes <"$WORK/$target.result"
  [ "$runs" -gt 0 ] || crashes=1
  echo "$target: $runs executions, $cpu CPU seconds, $crashes crashes"
  failed=$((failed + crashes))
  if [ "$log" = yes ]; then
    mkdir -p "$(dirname "$LOG")"
    [ -s "$LOG" ] || printf 'date\ttarget\tcommit\texecutions\tcpu_seconds\tfindings\n' >"$LOG"
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u +%FT%H:%MZ)" "$target" "$(cat "$STAMP")" "$runs" "$cpu" "$crashes" >>"$LOG"
  fi
done
[ ! -s "$LOG" ] || { echo "all runs in $LOG:"; sums; }
echo "$((${#targets[@]} - failed)) passed, $failed failed"
[ "$failed" = 0 ] || die "$failed of ${#targets[@]} targets found something" "the inputs are in $WORK/artifacts; put them into the crate's corpus-found"
