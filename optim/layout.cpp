#include "optim/layout.h"

#include "optim/kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>

namespace batchscope::optim {

namespace {

void require_layout(bool ok, const std::string& what) {
  if (!ok) {
    throw std::invalid_argument("optimizer: " + what);
  }
}

void check_parameters(const std::vector<Parameter>& parameters, std::int64_t modules) {
  require_layout(!parameters.empty(), "there are no tensors to train");
  const torch::Tensor& first = parameters.front().tensor;
  std::set<std::string> names;
  for (const Parameter& p : parameters) {
    require_layout(p.tensor.defined(), "tensor \"" + p.name + "\" is undefined");
    require_layout(p.module >= 0 && p.module < modules,
                   "tensor \"" + p.name + "\" names module " + std::to_string(p.module) + " of " +
                       std::to_string(modules));
    const auto dtype = p.tensor.scalar_type();
    require_layout(
        dtype == torch::kFloat || dtype == torch::kDouble,
        "tensor \"" + p.name + "\" must be float32 or float64, found " + c10::toString(dtype));
    require_layout(dtype == first.scalar_type() && p.tensor.device() == first.device(),
                   "tensor \"" + p.name + "\" differs from the first in dtype or device");
    require_layout(names.insert(p.name).second, "tensor \"" + p.name + "\" is listed twice");
  }
}

}  // namespace

Layout::Layout(const std::vector<Parameter>& parameters, std::int64_t modules)
    : parameters_(parameters), order_(parameters.size()) {
  check_parameters(parameters, modules);
  std::iota(order_.begin(), order_.end(), 0U);
  std::stable_partition(
      order_.begin(), order_.end(), [&](auto i) { return parameters[i].tensor.dim() > 1; });
  for (const std::size_t i : order_) {
    sizes_.push_back(parameters[i].tensor.numel());
    begins_.push_back(total_);
    const torch::Tensor& tensor = parameters[i].tensor;
    strides_.push_back(tensor.is_non_overlapping_and_dense()
                           ? tensor.strides().vec()
                           : torch::empty(tensor.sizes(), torch::kMeta).strides().vec());
    total_ += sizes_.back();
    matrices_ += parameters[i].tensor.dim() > 1 ? sizes_.back() : 0;
  }
  tensor_options_ = torch::TensorOptions()
                        .dtype(parameters.front().tensor.scalar_type())
                        .device(parameters.front().tensor.device());
}

torch::Tensor Layout::zeros() const {
  return torch::zeros({total_}, tensor_options_);
}

void Layout::check_shapes(const std::vector<torch::Tensor>& tensors) const {
  require_layout(
      tensors.size() == count(),
      "expected " + std::to_string(count()) + " tensors, found " + std::to_string(tensors.size()));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Parameter& p = parameters_[i];
    require_layout(!tensors[i].defined() || tensors[i].sizes() == p.tensor.sizes(),
                   c10::str("tensor for \"",
                            p.name,
                            "\" must be ",
                            p.tensor.sizes(),
                            ", found ",
                            tensors[i].defined() ? tensors[i].sizes() : at::IntArrayRef()));
  }
}

bool Layout::walkable(const torch::Tensor& x, std::size_t k, bool any_dtype) const {
  const bool dtype = any_dtype || x.scalar_type() == tensor_options_.dtype().toScalarType();
  if (!dtype || x.device() != tensor_options_.device() || x.layout() != torch::kStrided) {
    return false;
  }
  for (std::int64_t d = 0; d < x.dim(); ++d) {
    if (x.size(d) != 1 && x.stride(d) != strides_[k][static_cast<std::size_t>(d)]) {
      return false;
    }
  }
  return true;
}

torch::Tensor Layout::empty() const {
  return torch::empty({total_}, tensor_options_);
}

torch::Tensor Layout::empty_piece(std::size_t k) const {
  return torch::empty({sizes_[k]}, tensor_options_)
      .as_strided(parameters_[order_[k]].tensor.sizes(), strides_[k]);
}

torch::Tensor Layout::flatten(const std::vector<torch::Tensor>& tensors) const {
  check_shapes(tensors);
  torch::Tensor flat = empty();
  for (std::size_t k = 0; k < count(); ++k) {
    const torch::Tensor& x = tensors[order_[k]];
    x.defined() ? piece(flat, k).copy_(x.detach()) : piece(flat, k).zero_();
  }
  return flat;
}

torch::Tensor Layout::weights() const {
  std::vector<torch::Tensor> list;
  list.reserve(count());
  for (const Parameter& p : parameters_) {
    list.push_back(p.tensor);
  }
  return flatten(list);
}

torch::Tensor Layout::piece(const torch::Tensor& flat, std::size_t k) const {
  return flat.as_strided(parameters_[order_[k]].tensor.sizes(), strides_[k], begins_[k]);
}

std::vector<torch::Tensor> Layout::pieces(const torch::Tensor& flat) const {
  std::vector<torch::Tensor> views;
  views.reserve(count());
  for (std::size_t k = 0; k < count(); ++k) {
    views.push_back(piece(flat, k));
  }
  return views;
}

torch::Tensor Layout::piece_of(const torch::Tensor& flat, std::int64_t parameter) const {
  const auto it = std::ranges::find(order_, static_cast<std::size_t>(parameter));
  require_layout(it != order_.end(), "there is no tensor " + std::to_string(parameter));
  return piece(flat, static_cast<std::size_t>(it - order_.begin()));
}

std::vector<torch::Tensor> Layout::by_parameter(const torch::Tensor& flat) const {
  std::vector<torch::Tensor> views = pieces(flat), result(count());
  for (std::size_t k = 0; k < count(); ++k) {
    result[order_[k]] = views[k];
  }
  return result;
}

std::vector<double> Layout::norms(const torch::Tensor& flat) const {
  std::vector<double> values = square_sums(flat, sizes_);
  std::ranges::transform(values, values.begin(), [](double x) { return std::sqrt(x); });
  return values;
}

}  // namespace batchscope::optim
