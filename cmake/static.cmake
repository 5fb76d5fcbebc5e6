# The static binary (LOCKKEEPER_STATIC): every library as an archive, a position-independent executable without an
# interpreter, only the functions that are used. For scripts/static/build.sh: it needs a Debian 13 root and the prefix
# that scripts/static/dependencies.sh fills (in CMAKE_PREFIX_PATH).
#
# The find_package() calls in the main file stay as they are; what this file sets makes them find archives.
set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
set(Boost_USE_STATIC_LIBS ON)
set(OPENSSL_USE_STATIC_LIBS ON)
find_library(PostgreSQL_LIBRARY pq_isolated REQUIRED)
find_library(PG_QUERY_LIBRARY pg_query_isolated REQUIRED)
find_library(LOCKKEEPER_YAML_CPP yaml-cpp REQUIRED)  # Debian's CMake package knows only the shared one

target_compile_options(lk_settings INTERFACE
  -fPIE -ffunction-sections -fdata-sections
  -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= -ffile-prefix-map=${PROJECT_BINARY_DIR}/=)  # no path of this build
# The map says what was linked: for the SBOM and the table of sizes. Packed relocations: 0.9 MB less, for the same code.
target_link_options(lk_settings INTERFACE
  -static-pie LINKER:--gc-sections LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack LINKER:-z,pack-relative-relocs
  LINKER:-Map=${PROJECT_BINARY_DIR}/lockkeeper.map)

# What an archive cannot say: the archives that it needs in turn. zlib and zstd: src/files/static_openssl.cpp.
function(lk_complete_static_targets)
  target_link_libraries(PostgreSQL::PostgreSQL INTERFACE OpenSSL::SSL)
endfunction()
