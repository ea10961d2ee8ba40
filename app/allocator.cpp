#include "app/allocator.h"

#include <cstdlib>
#include <malloc.h>

namespace batchscope {

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0);  // read by c10 at its first allocation
}

}  // namespace batchscope
