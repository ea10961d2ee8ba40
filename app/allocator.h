#pragma once

namespace batchscope {

/// Lets malloc keep freed blocks of up to 32 MB, and 256 MB at the top of the heap, instead of
/// handing them back to the system, and has large tensors in huge pages: a training step allocates
/// and frees the same tensors each time, and the page faults were a sixth of a small model's step,
/// and half of what a checkpoint stops a training for. Call once, before the first tensor.
void keep_freed_memory();

}  // namespace batchscope
