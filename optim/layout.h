#pragma once

#include "optim/optimizer.h"

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::optim {

/// Places all tensors of an optimizer end to end in one flat tensor, so that an element update is a
/// handful of operations on one tensor. Tensors of one dimension or none come last: what the
/// trust-ratio methods adapt is one contiguous part. Positions k count in this order.
class Layout {
 public:
  /// Throws std::invalid_argument as make_optimizer does.
  Layout(const std::vector<Parameter>& parameters, std::int64_t modules);

  std::size_t count() const { return order_.size(); }
  /// Index of the parameter at position k.
  std::size_t parameter(std::size_t k) const { return order_[k]; }
  const std::string& name(std::size_t k) const { return parameters_[order_[k]].name; }
  std::size_t module(std::size_t k) const {
    return static_cast<std::size_t>(parameters_[order_[k]].module);
  }
  std::int64_t size(std::size_t k) const { return sizes_[k]; }
  /// Elements of the tensors with two dimensions or more; they come first.
  std::int64_t matrices() const { return matrices_; }
  bool is_matrix(std::size_t k) const { return begins_[k] < matrices_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// The tensor at position k, to be written.
  torch::Tensor& weight(std::size_t k) { return parameters_[order_[k]].tensor; }

  torch::Tensor zeros() const;
  /// Flat copy of tensors in parameter order; undefined counts as zero. Throws
  /// std::invalid_argument for another number of tensors or other shapes.
  torch::Tensor flatten(const std::vector<torch::Tensor>& tensors) const;
  /// Flat copy of the weights of this moment.
  torch::Tensor weights() const;
  /// View of a flat tensor at position k, with the shape of the parameter; and of all.
  torch::Tensor piece(const torch::Tensor& flat, std::size_t k) const;
  std::vector<torch::Tensor> pieces(const torch::Tensor& flat) const;
  /// View of parameter i, and of all in parameter order.
  torch::Tensor piece_of(const torch::Tensor& flat, std::int64_t i) const;
  std::vector<torch::Tensor> by_parameter(const torch::Tensor& flat) const;
  /// L2 norm at each position.
  std::vector<double> norms(const torch::Tensor& flat) const;

 private:
  /// Copies tensors in layout order, of the right dtype and device, end to end.
  torch::Tensor joined(const std::vector<torch::Tensor>& list) const;

  std::vector<Parameter> parameters_;
  std::vector<std::size_t> order_;  // position -> parameter
  std::vector<std::int64_t> sizes_, begins_;
  std::vector<std::vector<std::int64_t>> strides_;  // contiguous ones of each shape
  std::int64_t matrices_ = 0, total_ = 0;
  torch::TensorOptions tensor_options_;
};

}  // namespace batchscope::optim
