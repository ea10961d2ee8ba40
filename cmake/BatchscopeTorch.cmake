# Finds LibTorch without its own CMake package, which insists on a CUDA toolkit (spec: torch wheel of PyTorch).
# Order: (1) -DBATCHSCOPE_TORCH_DIR, (2) $BATCHSCOPE_TORCH_DIR, (3) the per-user cache that ./batchscope setup fills.
# Gives batchscope::torch (torch_cpu + c10, and torch_cuda + c10_cuda + NCCL when BATCHSCOPE_HAVE_CUDA) and
# two precompiled headers, of which every torch target reuses one: batchscope_torch_tensors and batchscope_torch_modules.
set(BATCHSCOPE_TORCH_VERSION 2.11.0)
if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(_cache $ENV{XDG_CACHE_HOME})
else()
  set(_cache $ENV{HOME}/.cache)
endif()
set(_candidates ${BATCHSCOPE_TORCH_DIR} $ENV{BATCHSCOPE_TORCH_DIR})
if(NOT BATCHSCOPE_CUDA STREQUAL "OFF")
  list(APPEND _candidates ${_cache}/batchscope/libtorch/${BATCHSCOPE_TORCH_VERSION}-cuda/torch)
endif()
list(APPEND _candidates ${_cache}/batchscope/libtorch/${BATCHSCOPE_TORCH_VERSION}-cpu/torch)
set(BATCHSCOPE_TORCH_ROOT "")
foreach(_dir IN LISTS _candidates)
  if(_dir AND EXISTS ${_dir}/include/ATen/ATen.h)
    set(BATCHSCOPE_TORCH_ROOT ${_dir})
    break()
  endif()
endforeach()
if(NOT BATCHSCOPE_TORCH_ROOT)
  message(FATAL_ERROR "LibTorch ${BATCHSCOPE_TORCH_VERSION} was not found: run ./batchscope setup, "
                      "or name one with -DBATCHSCOPE_TORCH_DIR=FOLDER (with include/ and lib/), "
                      "or build without the engine (-DBATCHSCOPE_ENGINE=OFF).")
endif()
message(STATUS "LibTorch: ${BATCHSCOPE_TORCH_ROOT}")
set(_lib ${BATCHSCOPE_TORCH_ROOT}/lib)

find_path(BATCHSCOPE_GLOO_INCLUDE gloo/algorithm.h)
if(NOT BATCHSCOPE_GLOO_INCLUDE)
  message(FATAL_ERROR "Gloo's headers were not found: install libgloo-dev (./batchscope setup does).")
endif()

set(BATCHSCOPE_HAVE_CUDA OFF)
if(NOT BATCHSCOPE_CUDA STREQUAL "OFF")
  find_package(CUDAToolkit QUIET)
  find_path(BATCHSCOPE_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS}
            ${BATCHSCOPE_TORCH_ROOT}/../nvidia/nccl/include)
  if(CUDAToolkit_FOUND AND BATCHSCOPE_NCCL_INCLUDE AND EXISTS ${_lib}/libtorch_cuda.so
     AND (BATCHSCOPE_CUDA STREQUAL "ON" OR BATCHSCOPE_TORCH_ROOT MATCHES "-cuda/torch$"))
    set(BATCHSCOPE_HAVE_CUDA ON)
  elseif(BATCHSCOPE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "BATCHSCOPE_CUDA=ON needs a CUDA toolkit (nvcc), nccl.h and a LibTorch with libtorch_cuda.so: "
                        "toolkit ${CUDAToolkit_FOUND}, nccl.h ${BATCHSCOPE_NCCL_INCLUDE}, LibTorch ${BATCHSCOPE_TORCH_ROOT}.")
  endif()
endif()
message(STATUS "CUDA: ${BATCHSCOPE_HAVE_CUDA}")

add_library(batchscope_torch INTERFACE)
add_library(batchscope::torch ALIAS batchscope_torch)
target_include_directories(batchscope_torch SYSTEM INTERFACE ${BATCHSCOPE_TORCH_ROOT}/include
                           ${BATCHSCOPE_TORCH_ROOT}/include/torch/csrc/api/include ${BATCHSCOPE_GLOO_INCLUDE})
target_compile_definitions(batchscope_torch INTERFACE USE_DISTRIBUTED USE_C10D USE_C10D_GLOO)
# Loops for the vector unit, no threads: those are the wheel's own libgomp's, by name (cmake/torch/threads.h).
target_compile_options(batchscope_torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp-simd>)
target_link_directories(batchscope_torch INTERFACE ${_lib})
target_link_options(batchscope_torch INTERFACE -Wl,-rpath,${_lib} -Wl,--as-needed)
target_link_libraries(batchscope_torch INTERFACE torch_cpu c10 ${_lib}/libgomp.so.1)
# The wheel keeps CUDA's run time beside torch/; the CPU build needs two small libraries of it at link time.
file(GLOB _nvidia ${BATCHSCOPE_TORCH_ROOT}/../nvidia/*/lib)
foreach(_dir IN LISTS _nvidia)
  target_link_options(batchscope_torch INTERFACE -Wl,-rpath-link,${_dir})
endforeach()
if(BATCHSCOPE_HAVE_CUDA)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 90)
  endif()
  set(CMAKE_CUDA_STANDARD 17)
  enable_language(CUDA)
  target_include_directories(batchscope_torch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS} ${BATCHSCOPE_NCCL_INCLUDE})
  target_compile_definitions(batchscope_torch INTERFACE USE_C10D_NCCL)
  target_link_libraries(batchscope_torch INTERFACE -Wl,--no-as-needed torch_cuda c10_cuda -Wl,--as-needed CUDA::cudart)
endif()

# torch/torch.h would cost every file the instances of all of torch/nn's and torch/data's templates: what a file needs beyond
# these headers it includes itself. Measured in docs/results/setup.md.
set(_tensors <torch/types.h> <torch/utils.h> <torch/autograd.h>)
set(_modules ${_tensors} <torch/nn/modules/container/any.h> <torch/nn/modules/container/modulelist.h>)
foreach(_header tensors modules)
  set(_file ${CMAKE_BINARY_DIR}/torch_${_header}.cpp)
  file(CONFIGURE OUTPUT ${_file} CONTENT "// Carries a precompiled header of LibTorch.\n")
  add_library(batchscope_torch_${_header} STATIC ${_file})
  target_link_libraries(batchscope_torch_${_header} PUBLIC batchscope::torch)
  target_precompile_headers(batchscope_torch_${_header} PRIVATE ${_${_header}})
  batchscope_warnings(batchscope_torch_${_header})
endforeach()
