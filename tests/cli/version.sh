# `--version` says one line; with --verbose every library that the binary is built with, and where the licences are.
source "$SUPPORT/lib.sh"
URL=
run --version
expect_code 0
[[ $out =~ ^'lockkeeper '[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail 'not one line with a version'
run --version --verbose
expect_code 0
for library in Boost.Program_options fmt libcurl libpq nlohmann-json OpenSSL prometheus-cpp yaml-cpp; do
  expect_out "^  $library +[0-9]+(\.[0-9]+)+\$"
done
expect_out '^  libpg_query +with the grammar of PostgreSQL [0-9]+\.[0-9]+$'
expect_out 'licences: '
