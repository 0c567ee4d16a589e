# Libraries from Debian, and libopenvswitch built once per machine from Debian's source package.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(MNL REQUIRED IMPORTED_TARGET libmnl)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
# The text format only: neither its registry nor its server.
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)

find_path(CPPHTTPLIB_INCLUDE httplib.h REQUIRED)
find_library(CPPHTTPLIB_LIBRARY cpp-httplib REQUIRED)
add_library(httplib INTERFACE)
target_include_directories(httplib SYSTEM INTERFACE ${CPPHTTPLIB_INCLUDE})
# As Debian built the library: another choice would change the layout of its classes.
target_compile_definitions(httplib INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT CPPHTTPLIB_ZLIB_SUPPORT
                                             CPPHTTPLIB_BROTLI_SUPPORT)
target_link_libraries(httplib INTERFACE ${CPPHTTPLIB_LIBRARY} ssl crypto z Threads::Threads)

execute_process(
  COMMAND ${CMAKE_SOURCE_DIR}/scripts/lib/openvswitch.sh
  OUTPUT_VARIABLE OVS_DIR OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
add_library(openvswitch INTERFACE)
target_include_directories(openvswitch SYSTEM INTERFACE
  ${OVS_DIR}/src/include ${OVS_DIR}/build/include ${OVS_DIR}/src/lib ${OVS_DIR}/build/lib
  ${OVS_DIR}/src ${OVS_DIR}/build)
target_link_libraries(openvswitch INTERFACE ${OVS_DIR}/build/lib/.libs/libopenvswitch.a
                      ssl crypto m rt Threads::Threads)
