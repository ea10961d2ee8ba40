#include "app/allocator.h"

#include <malloc.h>

namespace batchscope {

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

}  // namespace batchscope
