#pragma once

namespace batchscope {

/// Lets malloc keep freed blocks of up to 32 MB, and 256 MB at the top of the heap, instead of
/// handing them back to the system: a training step allocates and frees the same tensors each time,
/// and the page faults were a sixth of a small model's step. Call once, before the first tensor.
void keep_freed_memory();

}  // namespace batchscope
