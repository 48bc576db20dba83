#!/usr/bin/env bash
# A first hour with the built wheel, in a folder without the repository: every module is imported,
# both gates pass, a run is cut off and resumed, two runs are compared.
#
#     tests/smoke.sh ENVIRONMENT      whose packages are used, as .venv; expkit is the wheel's
set -euo pipefail
environment=$(realpath "$1")
repository=$(realpath "$(dirname "$0")/..")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export OMP_NUM_THREADS=1 MPLBACKEND=agg

say() { printf "\n== %s (%s s)\n" "$*" "$SECONDS"; }
fail() { printf 'smoke: %s\n' "$*" >&2; exit 1; }

say "the wheel, beside the packages of $environment"
"$environment/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$place" "$repository"
"$environment/bin/python" -m venv --without-pip "$place/venv"
packages=$("$environment/bin/python" -c 'import sys; print(*[p for p in sys.path if p.endswith("site-packages")], sep="\n")')
own=$("$place/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$packages" >"$own/packages.pth"
"$environment/bin/python" -m pip --python "$place/venv" install --quiet --no-deps --no-index "$place"/*.whl
PATH=$place/venv/bin:$PATH
mkdir "$place/work"
cd "$place/work"

say "import"
python - "$place" <<'PYTHON'
import pkgutil
import sys
from importlib import import_module

import expkit

assert expkit.__file__.startswith(sys.argv[1]), f"this is not the wheel: {expkit.__file__}"
names = [each.name for each in pkgutil.walk_packages(expkit.__path__, "expkit.")]
for name in names:
    try:
        import_module(name)
    except ModuleNotFoundError as error:  # a callback for somebody else's loop is of an extra
        if error.name not in ("pytorch_lightning", "transformers"):
            raise
print(f"expkit {expkit.__version__}: {len(names)} modules")
PYTHON
expkit list model | grep -q simple_conv || fail "conf/ is not in the wheel"

small="dataset=digits dataset.limit=60 device=cpu device.threads=1 criteria=none"

say "both gates"
expkit smoke $small --junit smoke.xml
grep -q 'failures="0" errors="0"' smoke.xml || fail "the JUnit XML does not say that both gates passed"

say "a project of one's own"
expkit init birds
(cd birds && expkit smoke device=cpu device.threads=1)

say "a run, cut off and resumed"
expkit train $small procedure=full procedure.train.max_epochs=60 name=cut seed=1 &
process=$!
for _ in $(seq 1200); do
    grep -qs . outputs/*_cut/history.jsonl && break
    sleep 0.05
done
kill -TERM "$process"
code=0
wait "$process" || code=$?
[ "$code" -eq 130 ] || fail "a run that was told to stop left with exit code $code, not 130"
expkit resume last
expkit train $small procedure=full procedure.train.max_epochs=5 name=other seed=2

say "pages"
for page in outputs/index.html outputs/*_cut/report.html; do
    grep -q "default-src 'none'" "$page" || fail "$page is no page"
done

say "compare"
expkit compare _cut _other --to compared
expkit diagnose _cut || [ $? -eq 1 ]
ls compared
say "passed"
