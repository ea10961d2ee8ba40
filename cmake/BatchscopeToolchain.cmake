# Compiler-wide settings: standard, output folders, sanitizers, ccache.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
# -g1 keeps line numbers in back traces at a third of the size: LibTorch's headers make full debug info huge.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
# AVX2 is the floor of every x86-64 server since 2015; the optimizer kernels need it to reach memory speed.
set(BATCHSCOPE_ISA "x86-64-v3" CACHE STRING "-march of the numeric kernels; empty for the compiler's default")

# LibTorch's symbols keep GNU ld busy for seconds, every test program anew.
find_program(BATCHSCOPE_LLD ld.lld)
find_program(BATCHSCOPE_MOLD mold)
if(BATCHSCOPE_MOLD)
  add_link_options(-fuse-ld=mold)
elseif(BATCHSCOPE_LLD)
  add_link_options(-fuse-ld=lld)
endif()

find_program(BATCHSCOPE_CCACHE ccache)
if(BATCHSCOPE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${BATCHSCOPE_CCACHE})
endif()
# -O1: instrumented code at -O2 takes twice as long to compile; GCC 12 then takes the standard library's own members for uninitialised.
if(BATCHSCOPE_SANITIZE)
  add_compile_options(-fsanitize=${BATCHSCOPE_SANITIZE} -fno-omit-frame-pointer -O1
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
  add_link_options(-fsanitize=${BATCHSCOPE_SANITIZE})
  add_compile_definitions(BATCHSCOPE_SANITIZED)
endif()
# GCC 12 at -O3 takes std::string's operator+ for overlapping or endless copies (GCC bug 105651). No preset is a Release:
# what gains from -O3 asks for it itself.
add_compile_options("$<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-Wno-restrict;-Wno-stringop-overflow>")
