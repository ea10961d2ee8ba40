#include "optim/kernels/device_block.cuh"
#include "optim/kernels/device_step.h"

namespace batchscope::optim::kernels {

namespace {

template <typename T>
__device__ T gradient(const DevicePiece& p, std::int64_t i) {
  return read<T>(p.g, p.grad, i);
}

__device__ void add_square(double& sum, double x) {
  sum += x * x;
}

/// Adds the threads' sums of these members and writes them as the block's part; every thread of
/// the block calls it.
template <typename... Members>
__device__ void write_part(const DeviceMemory& memory, DeviceOutcome mine, Members... members) {
  ((mine.*members = block_sum(mine.*members)), ...);
  if (threadIdx.x == 0) {
    memory.partial[blockIdx.x] = mine;
  }
}

/// Sums of squares of gradients, and of weights for LARS.
template <typename T>
__global__ void measure_kernel(DeviceMemory memory) {
  const DeviceBlock block = memory.blocks[blockIdx.x];
  const DevicePiece& p = memory.pieces[block.piece];
  const bool weights = memory.rules->lars;
  DeviceOutcome sums;
  for (std::int64_t i = block.begin + threadIdx.x; i < block.begin + block.length; i += kThreads) {
    add_square(sums.g, gradient<T>(p, i));
    if (weights) {
      add_square(sums.w, static_cast<const T*>(p.w)[i]);
    }
  }
  write_part(memory, sums, &DeviceOutcome::g, &DeviceOutcome::w);
}

/// Adds the blocks' sums of each tensor, takes the global norm, and decides: one thread block.
__global__ void decide_kernel(DeviceMemory memory) {
  const DeviceRules& rules = *memory.rules;
  double total = 0;
  for (int k = threadIdx.x; k < memory.count; k += kThreads) {
    DeviceOutcome outcome;
    for (int b = memory.first_block[k]; b < memory.first_block[k + 1]; ++b) {
      outcome.g += memory.partial[b].g;
      outcome.w += memory.partial[b].w;
    }
    memory.outcomes[k] = outcome;
    total += outcome.g;
  }
  total = block_sum(total);
  __shared__ double clip;
  if (threadIdx.x == 0) {
    DeviceReport report;
    report.grad_norm = sqrt(total);
    if (rules.clip_norm > 0 && isfinite(report.grad_norm)) {
      report.clip = rules.clip_lamb ? math::clip_lamb(report.grad_norm, rules.clip_norm)
                                    : math::clip_torch(report.grad_norm, rules.clip_norm);
    }
    report.applied =
        isfinite(report.grad_norm) && report.grad_norm * report.clip <= rules.largest_norm;
    *memory.report = report;
    clip = report.clip;
  }
  __syncthreads();
  for (int k = threadIdx.x; k < memory.count; k += kThreads) {
    const DevicePiece& p = memory.pieces[k];
    DeviceOutcome& o = memory.outcomes[k];
    o.factor = rules.lars_pre ? -1.0 : -p.rate;
    o.keep = rules.keep;
    if (!rules.lars) {
      continue;
    }
    const double norm = sqrt(o.g) * clip;
    o.silent = norm == 0 && !rules.compat_ratio1;
    double ratio = 1;
    if (p.adapts && !o.silent) {
      ratio =
          math::lars_ratio(rules.trust_coefficient, sqrt(o.w), norm, rules.weight_decay, rules.eps);
      if (rules.lars_clip && ratio / p.rate < 1.0) {
        ratio /= p.rate;
      } else if (rules.lars_clip) {
        ratio = 1;
      }
      o.trust = ratio;
      o.adapted = 1;
    }
    const double rate = rules.lars_pre ? p.rate : 1.0;
    o.scale = o.silent ? 0.0 : ratio * rate;
    if (!o.silent && rules.lars_pre && rate > 0 && p.folded == 0) {
      o.keep *= rate;
    }
  }
}

template <typename T>
__global__ void momentum_kernel(DeviceMemory memory) {
  if (!memory.report->applied) {
    return;
  }
  const DeviceBlock block = memory.blocks[blockIdx.x];
  const DevicePiece& p = memory.pieces[block.piece];
  const DeviceRules& rules = *memory.rules;
  const DeviceOutcome& o = memory.outcomes[block.piece];
  const math::MomentumElement<T> element = {static_cast<T>(memory.report->clip),
                                            static_cast<T>(p.decay),
                                            static_cast<T>(o.scale),
                                            static_cast<T>(o.keep),
                                            static_cast<T>(rules.gain),
                                            static_cast<T>(rules.own),
                                            static_cast<T>(rules.buffer)};
  const T factor = static_cast<T>(o.factor);
  T* const w = static_cast<T*>(p.w);
  T *const m = static_cast<T*>(p.m), *const direction = static_cast<T*>(p.u);
  DeviceOutcome sums;
  for (std::int64_t i = block.begin + threadIdx.x; i < block.begin + block.length; i += kThreads) {
    T mi = m[i];
    const T wi = w[i];
    const T u = math::momentum_direction(gradient<T>(p, i), wi, mi, element);
    m[i] = mi;
    if (direction != nullptr) {
      direction[i] = u;
    } else if (factor != T(0)) {
      w[i] = wi + factor * u;
    }
    add_square(sums.w, wi);
    add_square(sums.u, u);
    add_square(sums.m, mi);
  }
  if (!rules.norms) {
    return;
  }
  write_part(memory, sums, &DeviceOutcome::w, &DeviceOutcome::u, &DeviceOutcome::m);
}

template <typename T, bool kReadout>
__global__ void adaptive_kernel(DeviceMemory memory) {
  if (!memory.report->applied) {
    return;
  }
  const DeviceBlock block = memory.blocks[blockIdx.x];
  const DevicePiece& p = memory.pieces[block.piece];
  const DeviceOutcome& o = memory.outcomes[block.piece];
  const auto element = math::adaptive_element<T>(*memory.rules, memory.report->clip, p.decay);
  const T factor = static_cast<T>(o.factor);
  T *const w = static_cast<T*>(p.w), *const m = static_cast<T*>(p.m);
  T *const v = static_cast<T*>(p.v), *const direction = static_cast<T*>(p.u);
  DeviceOutcome sums;
  for (std::int64_t i = block.begin + threadIdx.x; i < block.begin + block.length; i += kThreads) {
    T mi = m[i], vi = v[i];
    const T wi = w[i];
    const T u = math::adaptive_direction<kReadout>(gradient<T>(p, i), wi, mi, vi, element);
    m[i] = mi;
    v[i] = vi;
    if (direction != nullptr) {
      direction[i] = u;
    } else if (factor != T(0)) {
      w[i] = wi + factor * u;
    }
    add_square(sums.w, wi);
    add_square(sums.u, u);
    add_square(sums.m, mi);
    add_square(sums.v, vi);
  }
  write_part(
      memory, sums, &DeviceOutcome::w, &DeviceOutcome::u, &DeviceOutcome::m, &DeviceOutcome::v);
}

/// Adds the sums of a pass to its tensors; trust ratios and the rule for dead tensors.
__global__ void trust_kernel(DeviceMemory memory) {
  const DeviceRules& rules = *memory.rules;
  const int k = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (!memory.report->applied || k >= memory.count) {
    return;
  }
  DeviceOutcome& o = memory.outcomes[k];
  o.w = o.u = o.m = o.v = 0;
  for (int b = memory.first_block[k]; b < memory.first_block[k + 1]; ++b) {
    o.w += memory.partial[b].w;
    o.u += memory.partial[b].u;
    o.m += memory.partial[b].m;
    o.v += memory.partial[b].v;
  }
  if (!rules.adaptive) {
    return;
  }
  // Without a gradient the moment is zero after the update exactly when it was before.
  o.dead = rules.skip_dead && o.g == 0 && (rules.forgotten || o.m == 0);
  if (memory.pieces[k].adapts) {
    o.trust = math::bounded_trust(sqrt(o.w), sqrt(o.u), rules.trust);
    o.adapted = !o.dead;
    o.factor *= o.trust;
  }
  o.factor = o.dead ? 0.0 : o.factor;
}

template <typename T>
__global__ void apply_kernel(DeviceMemory memory) {
  const DeviceBlock block = memory.blocks[blockIdx.x];
  const DevicePiece& p = memory.pieces[block.piece];
  const T factor = static_cast<T>(memory.outcomes[block.piece].factor);
  if (!memory.report->applied || p.u == nullptr || factor == T(0)) {
    return;
  }
  T* const w = static_cast<T*>(p.w);
  const T* const u = static_cast<const T*>(p.u);
  for (std::int64_t i = block.begin + threadIdx.x; i < block.begin + block.length; i += kThreads) {
    w[i] += factor * u[i];
  }
}

template <typename T>
void launch(const DeviceRules& rules, const DeviceMemory& memory, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(memory.block_count);
  const auto tensors = static_cast<unsigned>((memory.count + kThreads - 1) / kThreads);
  if (blocks > 0) {
    measure_kernel<T><<<blocks, kThreads, 0, stream>>>(memory);
  }
  decide_kernel<<<1, kThreads, 0, stream>>>(memory);
  if (blocks > 0) {
    if (!rules.adaptive) {
      momentum_kernel<T><<<blocks, kThreads, 0, stream>>>(memory);
    } else if (rules.readout) {
      adaptive_kernel<T, true><<<blocks, kThreads, 0, stream>>>(memory);
    } else {
      adaptive_kernel<T, false><<<blocks, kThreads, 0, stream>>>(memory);
    }
  }
  if (rules.adaptive || rules.norms) {
    trust_kernel<<<tensors, kThreads, 0, stream>>>(memory);
  }
  if (rules.adaptive && !rules.dry && blocks > 0) {
    apply_kernel<T><<<blocks, kThreads, 0, stream>>>(memory);
  }
  check("the kernels of a step could not be launched");
}

}  // namespace

void launch_device_step(const DeviceRules& rules, const DeviceMemory& memory, int index) {
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(index));
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream().stream();
  rules.wide ? launch<double>(rules, memory, stream) : launch<float>(rules, memory, stream);
}

}  // namespace batchscope::optim::kernels
