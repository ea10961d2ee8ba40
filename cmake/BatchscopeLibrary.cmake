# batchscope_library(NAME SOURCES … [LINK …] [PRIVATE_LINK …] [TORCH tensors|modules] [QT] [UNITY n] [ALONE …])   one room
# batchscope_executable(NAME SOURCES … LINK … [the same])
# Sources are listed, never globbed. TORCH: links LibTorch and uses one of its two precompiled headers. UNITY: n files are
# compiled as one (-DBATCHSCOPE_UNITY=OFF: each by itself). ALONE: files that are not.
set(_flags_of_target QT)
set(_values_of_target TORCH UNITY)
set(_lists_of_target SOURCES LINK PRIVATE_LINK ALONE)

function(batchscope_warnings target)
  # For the C++ compiler alone: nvcc knows none of these options.
  set(_flags -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers)
  if(BATCHSCOPE_WERROR)
    list(APPEND _flags -Werror)
  endif()
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${_flags}>")
  target_compile_definitions(${target} PRIVATE QT_NO_KEYWORDS QT_NO_CAST_FROM_ASCII QT_NO_CAST_TO_ASCII)
endfunction()

# header: tensors or modules (cmake/BatchscopeTorch.cmake).
function(batchscope_use_torch target header)
  target_link_libraries(${target} PUBLIC batchscope::torch)
  target_precompile_headers(${target} REUSE_FROM batchscope_torch_${header})
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:-Wno-unknown-pragmas;$<$<CXX_COMPILER_ID:GNU>:-Winvalid-pch>>")
endfunction()

# What libraries and programs have in common; reads the caller's A_….
macro(batchscope_target name)
  target_link_libraries(${name} PUBLIC ${A_LINK} PRIVATE ${A_PRIVATE_LINK})
  batchscope_warnings(${name})
  if(A_QT)
    set_target_properties(${name} PROPERTIES AUTOMOC ON)
  endif()
  if(A_TORCH)
    batchscope_use_torch(${name} ${A_TORCH})
  endif()
  if(A_UNITY AND BATCHSCOPE_UNITY)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${A_UNITY})
    set_source_files_properties(${A_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endmacro()

function(batchscope_library name)
  cmake_parse_arguments(A "${_flags_of_target}" "${_values_of_target}" "${_lists_of_target}" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  batchscope_target(${name})
endfunction()

function(batchscope_executable name)
  cmake_parse_arguments(A "${_flags_of_target}" "${_values_of_target}" "${_lists_of_target}" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  batchscope_target(${name})
endfunction()
