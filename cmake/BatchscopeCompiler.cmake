# Before project(): clang++ where nobody chose a compiler and it is there. A file that includes LibTorch costs it a third of
# what it costs g++ (docs/results/setup.md); g++ builds the same sources.
if(NOT CMAKE_CXX_COMPILER AND NOT DEFINED ENV{CXX})
  find_program(BATCHSCOPE_CLANG NAMES clang++ NO_CACHE)
  if(BATCHSCOPE_CLANG)
    set(CMAKE_CXX_COMPILER ${BATCHSCOPE_CLANG} CACHE FILEPATH "C++ compiler: clang++ when it is there")
  endif()
endif()
