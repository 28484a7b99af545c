# Compilers, flags, third-party packages, and the three functions every CMakeLists here uses.

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS url)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(fmt CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(simdjson CONFIG REQUIRED)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)

# Flags of our own code. Generated code links balancer_build only.
add_library(balancer_build INTERFACE)
target_compile_features(balancer_build INTERFACE cxx_std_20)
target_include_directories(balancer_build INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(balancer_build INTERFACE
    BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
    SPDLOG_FMT_EXTERNAL BALANCER_VERSION="${PROJECT_VERSION}"
)
target_link_libraries(balancer_build INTERFACE Threads::Threads Boost::headers fmt::fmt)
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    # Tests cost most of a build, and their own code runs little: measured, half the time at -O0.
    set(test_code $<BOOL:$<TARGET_PROPERTY:BALANCER_TEST_CODE>>)
    target_compile_options(balancer_build INTERFACE $<IF:${test_code},-O0,-O1> -g1 -fno-omit-frame-pointer)
else()
    target_compile_options(balancer_build INTERFACE -O2 -g1)
endif()
if(BALANCER_SANITIZE)
    target_compile_options(balancer_build INTERFACE -fsanitize=${BALANCER_SANITIZE} -fno-sanitize-recover=undefined)
    target_link_options(balancer_build INTERFACE -fsanitize=${BALANCER_SANITIZE})
endif()
find_program(LLD ld.lld-19)
if(LLD AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_link_options(balancer_build INTERFACE --ld-path=${LLD})
endif()

add_library(balancer_options INTERFACE)
target_link_libraries(balancer_options INTERFACE balancer_build)
target_compile_options(balancer_options INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Wno-deprecated-declarations -Werror
)

# balancer_library(NAME x SRCS a.cpp … DEPS y …): a static library of this project.
function(balancer_library)
    cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
    add_library(${ARG_NAME} STATIC ${ARG_SRCS})
    set_target_properties(${ARG_NAME} PROPERTIES BALANCER_TEST_CODE "${BALANCER_TEST_CODE}")
    target_link_libraries(${ARG_NAME} PUBLIC ${ARG_DEPS} PRIVATE balancer_options)
    target_link_libraries(${ARG_NAME} PUBLIC balancer_build)
endfunction()

# balancer_program(NAME x SRCS … DEPS …): a binary in build/<preset>/bin.
function(balancer_program)
    cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
    add_executable(${ARG_NAME} ${ARG_SRCS})
    set_target_properties(${ARG_NAME} PROPERTIES BALANCER_TEST_CODE "${BALANCER_TEST_CODE}")
    target_link_libraries(${ARG_NAME} PRIVATE ${ARG_DEPS} balancer_options)
endfunction()

# balancer_test(NAME x SRCS … DEPS …): one gtest program, one CTest test per program.
function(balancer_test)
    cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
    add_executable(${ARG_NAME} ${ARG_SRCS})
    set_target_properties(${ARG_NAME} PROPERTIES BALANCER_TEST_CODE "${BALANCER_TEST_CODE}")
    target_link_libraries(${ARG_NAME} PRIVATE ${ARG_DEPS} balancer_options GTest::gmock GTest::gtest_main)
    set_target_properties(${ARG_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME} --gtest_brief=1)
endfunction()
