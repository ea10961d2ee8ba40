#include "storage/pyramid.h"

#include <algorithm>
#include <cmath>

namespace batchscope::storage {
namespace {

constexpr std::size_t kNoIndex = static_cast<std::size_t>(-1);

}  // namespace

void Pyramid::append(double x, double y) {
  x_.push_back(x);
  y_.push_back(y);
  if (!std::isfinite(y)) {
    bad_.push_back(static_cast<std::uint32_t>(y_.size() - 1));
  }
  if (y_.size() % kBlock != 0) {
    return;
  }
  Extremes node;
  for (std::size_t at = y_.size() - kBlock; at < y_.size(); ++at) {
    join(node, at);
  }
  for (std::size_t level = 0;; ++level) {
    if (level == levels_.size()) {
      levels_.emplace_back();
    }
    std::vector<Extremes>& nodes = levels_[level];
    nodes.push_back(node);
    if (nodes.size() % 2 != 0) {
      return;
    }
    join(node, nodes[nodes.size() - 2]);
  }
}

void Pyramid::clear() {
  x_.clear();
  y_.clear();
  levels_.clear();
  bad_.clear();
}

bool Pyramid::finite(std::size_t at) const {
  return std::isfinite(y_[at]);
}

// Of equal values the earlier one stands, whatever the order of joining.
void Pyramid::join(Extremes& into, const Extremes& other) const {
  if (other.min_at == Extremes::kNone) {
    return;
  }
  if (into.min_at == Extremes::kNone) {
    into = other;
    return;
  }
  const auto before = [](double a, std::uint32_t a_at, double b, std::uint32_t b_at) {
    return a < b || (a == b && a_at < b_at);
  };
  if (before(y_[other.min_at], other.min_at, y_[into.min_at], into.min_at)) {
    into.min_at = other.min_at;
  }
  if (before(-y_[other.max_at], other.max_at, -y_[into.max_at], into.max_at)) {
    into.max_at = other.max_at;
  }
}

void Pyramid::join(Extremes& into, std::size_t at) const {
  if (finite(at)) {
    const auto index = static_cast<std::uint32_t>(at);
    join(into, Extremes{index, index});
  }
}

Pyramid::Extremes Pyramid::extremes(std::size_t begin, std::size_t end) const {
  Extremes result;
  while (begin < end && begin % kBlock != 0) {
    join(result, begin++);
  }
  while (end > begin && end % kBlock != 0) {
    join(result, --end);
  }
  // Whole blocks now: climb while both ends leave the level by at most one node.
  begin /= kBlock;
  end /= kBlock;
  for (std::size_t level = 0; begin < end; ++level) {
    if (begin % 2 != 0) {
      join(result, levels_[level][begin++]);
    }
    if (end > begin && end % 2 != 0) {
      join(result, levels_[level][--end]);
    }
    begin /= 2;
    end /= 2;
  }
  return result;
}

/// First index >= from whose x is not below `x`; doubling steps, since it is usually near.
std::size_t Pyramid::lower(double x, std::size_t from) const {
  std::size_t stride = 1;
  std::size_t low = from;
  while (low + stride < x_.size() && x_[low + stride] < x) {
    low += stride;
    stride *= 2;
  }
  const std::size_t high = std::min(low + stride + 1, x_.size());
  const auto begin = x_.begin();
  return static_cast<std::size_t>(std::lower_bound(begin + static_cast<std::ptrdiff_t>(low),
                                                   begin + static_cast<std::ptrdiff_t>(high),
                                                   x) -
                                  begin);
}

void Pyramid::emit(CurveView& out, std::size_t at, std::size_t& previous) const {
  if (at == previous) {
    return;
  }
  if (previous != kNoIndex) {
    const auto bad = std::upper_bound(bad_.begin(), bad_.end(), previous);
    if (bad != bad_.end() && *bad < at) {
      out.breaks.push_back(out.points.size());
    }
  }
  out.points.push_back({x_[at], y_[at]});
  previous = at;
}

void Pyramid::mark_nonfinite(
    CurveView& out, std::size_t begin, std::size_t end, double x0, double x1, int pixels) const {
  const auto first = std::lower_bound(bad_.begin(), bad_.end(), begin);
  const auto last = std::lower_bound(first, bad_.end(), end);
  out.nonfinite_samples = last - first;
  const double width = (x1 - x0) / pixels;
  for (auto bad = first; bad != last;) {
    out.nonfinite.push_back({x_[*bad], y_[*bad]});
    const double column = width > 0 ? std::floor((x_[*bad] - x0) / width) : pixels;
    if (column + 1 >= pixels) {
      return;
    }
    const std::size_t next =
        std::max(lower(x0 + (column + 1) * width, *bad), std::size_t{*bad} + 1);
    bad = std::lower_bound(bad, last, next);
  }
}

void Pyramid::thin(CurveView& out,
                   std::size_t begin,
                   std::size_t end,
                   double x0,
                   double x1,
                   int pixels,
                   std::size_t& previous) const {
  // One column less than pixels leaves room for the first and the last sample.
  const int columns = std::max(pixels - 1, 1);
  const double width = (x1 - x0) / columns;
  const auto in_order = [&](std::size_t a, std::size_t b) {
    emit(out, std::min(a, b), previous);
    emit(out, std::max(a, b), previous);
  };
  std::size_t first = begin;
  while (first < end && !finite(first)) {
    ++first;
  }
  std::size_t last = end;
  while (last > first && !finite(last - 1)) {
    --last;
  }
  if (first == last) {
    return;
  }
  emit(out, first, previous);
  std::size_t from = begin;
  for (int column = 0; column < columns && from < end; ++column) {
    const std::size_t to =
        column + 1 == columns ? end : std::min(end, lower(x0 + (column + 1) * width, from));
    const Extremes found = extremes(from, to);
    if (found.min_at != Extremes::kNone) {
      in_order(found.min_at, found.max_at);
    }
    from = to;
  }
  emit(out, last - 1, previous);
}

CurveView Pyramid::view(double x0, double x1, int pixels) const {
  CurveView out;
  if (x_.empty() || !(x0 <= x1)) {
    return out;
  }
  pixels = std::max(pixels, 1);
  x0 = std::isfinite(x0) ? x0 : x_.front();
  x1 = std::isfinite(x1) ? x1 : x_.back();
  const std::size_t begin = lower(x0, 0);
  const auto end_at =
      std::upper_bound(x_.begin() + static_cast<std::ptrdiff_t>(begin), x_.end(), x1);
  const auto end = static_cast<std::size_t>(end_at - x_.begin());
  out.samples = static_cast<std::int64_t>(end - begin);
  mark_nonfinite(out, begin, end, x0, x1, pixels);
  const std::int64_t in_view = out.samples - out.nonfinite_samples;
  std::size_t previous = kNoIndex;
  if (begin > 0 && finite(begin - 1)) {
    emit(out, begin - 1, previous);
  }
  const std::size_t outside = out.points.size();
  if (in_view <= 2 * std::int64_t{pixels}) {
    for (std::size_t at = begin; at < end; ++at) {
      if (finite(at)) {
        emit(out, at, previous);
      }
    }
  } else {
    thin(out, begin, end, x0, x1, pixels, previous);
  }
  out.thinned = static_cast<std::int64_t>(out.points.size() - outside) < in_view;
  if (end < x_.size() && finite(end)) {
    emit(out, end, previous);
  }
  return out;
}

}  // namespace batchscope::storage
