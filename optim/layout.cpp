#include "optim/layout.h"

#include "optim/kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <set>
#include <stdexcept>

namespace batchscope::optim {

namespace {

void require(bool ok, const std::string& what) {
  if (!ok) {
    throw std::invalid_argument("optimizer: " + what);
  }
}

void check_parameters(const std::vector<Parameter>& parameters, std::int64_t modules) {
  require(!parameters.empty(), "there are no tensors to train");
  const torch::Tensor& first = parameters.front().tensor;
  std::set<std::string> names;
  for (const Parameter& p : parameters) {
    require(p.tensor.defined(), "tensor \"" + p.name + "\" is undefined");
    require(p.module >= 0 && p.module < modules,
            "tensor \"" + p.name + "\" names module " + std::to_string(p.module) + " of " +
                std::to_string(modules));
    const auto dtype = p.tensor.scalar_type();
    require(dtype == torch::kFloat || dtype == torch::kDouble,
            "tensor \"" + p.name + "\" must be float32 or float64, found " + c10::toString(dtype));
    require(dtype == first.scalar_type() && p.tensor.device() == first.device(),
            "tensor \"" + p.name + "\" differs from the first in dtype or device");
    require(names.insert(p.name).second, "tensor \"" + p.name + "\" is listed twice");
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
    strides_.push_back(torch::empty(parameters[i].tensor.sizes(), torch::kMeta).strides().vec());
    total_ += sizes_.back();
    matrices_ += parameters[i].tensor.dim() > 1 ? sizes_.back() : 0;
  }
  tensor_options_ = parameters.front().tensor.options().requires_grad(false);
}

torch::Tensor Layout::zeros() const {
  return torch::zeros({total_}, tensor_options_);
}

torch::Tensor Layout::flatten(const std::vector<torch::Tensor>& tensors) const {
  require(
      tensors.size() == count(),
      "expected " + std::to_string(count()) + " tensors, found " + std::to_string(tensors.size()));
  std::vector<torch::Tensor> list;
  list.reserve(count());
  for (std::size_t k = 0; k < count(); ++k) {
    const torch::Tensor& x = tensors[order_[k]];
    const Parameter& p = parameters_[order_[k]];
    if (!x.defined()) {
      list.push_back(torch::zeros({sizes_[k]}, tensor_options_));
      continue;
    }
    require(
        x.sizes() == p.tensor.sizes(),
        c10::str("tensor for \"", p.name, "\" must be ", p.tensor.sizes(), ", found ", x.sizes()));
    const bool ready = x.scalar_type() == p.tensor.scalar_type() && x.device() == p.tensor.device();
    list.push_back(ready ? x : x.to(tensor_options_));
  }
  return joined(list);
}

torch::Tensor Layout::weights() const {
  std::vector<torch::Tensor> list;
  list.reserve(count());
  for (const std::size_t i : order_) {
    list.push_back(parameters_[i].tensor);
  }
  return joined(list);
}

torch::Tensor Layout::joined(const std::vector<torch::Tensor>& list) const {
  torch::Tensor flat = torch::empty({total_}, tensor_options_);
  if (!flat.is_cpu()) {
    std::vector<torch::Tensor> rows;
    rows.reserve(list.size());
    for (const torch::Tensor& x : list) {
      rows.push_back(x.detach().reshape({-1}));
    }
    return torch::cat_out(flat, rows);
  }
  // Dozens of small tensors: a plain copy costs a tenth of a call into the library.
  auto* to = static_cast<std::byte*>(flat.mutable_data_ptr());
  for (const torch::Tensor& x : list) {
    const torch::Tensor dense = x.is_contiguous() ? x : x.detach().contiguous();
    if (dense.nbytes() > 0) {
      std::memcpy(to, dense.const_data_ptr(), dense.nbytes());
    }
    to += dense.nbytes();
  }
  return flat;
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
  require(it != order_.end(), "there is no tensor " + std::to_string(parameter));
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
