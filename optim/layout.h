#pragma once

#include "optim/optimizer.h"

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::optim {

/// Places the state of all tensors of an optimizer end to end in one flat tensor, each with its
/// elements in the order in which its parameter's memory holds them. Tensors of one dimension or
/// none come last: what the trust-ratio methods adapt is one contiguous part. Positions k count in
/// this order.
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
  const torch::Tensor& weight(std::size_t k) const { return parameters_[order_[k]].tensor; }
  std::int64_t begin(std::size_t k) const { return begins_[k]; }
  /// True when x is memory that a kernel can walk beside the state at position k: of its dtype, on
  /// its device, dense, elements in its order. With `any_dtype` of any one.
  bool walkable(const torch::Tensor& x, std::size_t k, bool any_dtype = false) const;
  /// Uninitialised memory of its own for position k, walkable.
  torch::Tensor empty_piece(std::size_t k) const;
  /// Throws std::invalid_argument unless there is one tensor per parameter, each undefined or of
  /// its parameter's shape.
  void check_shapes(const std::vector<torch::Tensor>& tensors) const;
  /// Where the state lives, and its dtype.
  const torch::TensorOptions& tensor_options() const { return tensor_options_; }

  torch::Tensor zeros() const;
  torch::Tensor empty() const;
  /// Flat copy of tensors in parameter order; undefined counts as zero. Throws
  /// std::invalid_argument for another number of tensors or other shapes.
  torch::Tensor flatten(const std::vector<torch::Tensor>& tensors) const;
  /// Flat copy of the weights of this moment.
  torch::Tensor weights() const;
  /// View of a flat tensor at position k, with the parameter's shape and order in memory; and of
  /// all.
  torch::Tensor piece(const torch::Tensor& flat, std::size_t k) const;
  std::vector<torch::Tensor> pieces(const torch::Tensor& flat) const;
  /// View of parameter i, and of all in parameter order.
  torch::Tensor piece_of(const torch::Tensor& flat, std::int64_t i) const;
  std::vector<torch::Tensor> by_parameter(const torch::Tensor& flat) const;
  /// L2 norm at each position.
  std::vector<double> norms(const torch::Tensor& flat) const;

 private:
  std::vector<Parameter> parameters_;
  std::vector<std::size_t> order_;  // position -> parameter
  std::vector<std::int64_t> sizes_, begins_;
  std::vector<std::vector<std::int64_t>> strides_;  // the parameter's; contiguous if it has gaps
  std::int64_t matrices_ = 0, total_ = 0;
  torch::TensorOptions tensor_options_;
};

}  // namespace batchscope::optim
