#include "ui/session/curve.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace batchscope::session {

double DebiasedMean::next(double y) {
  if (!std::isfinite(y))
    return std::numeric_limits<double>::quiet_NaN();
  mean_ = weight_ * mean_ + (1 - weight_) * y;
  power_ *= weight_;
  return mean_ / (1 - power_);
}

double AxisColumns::x(XKind kind, std::int64_t row) const {
  const auto at = static_cast<std::size_t>(row);
  switch (kind) {
    case XKind::kStep:
      return static_cast<double>(step[at]);
    case XKind::kImages:
      return static_cast<double>(images[at]);
    case XKind::kSeconds:
      break;
  }
  return seconds[at];
}

std::int64_t AxisColumns::rowOfSeq(std::int64_t wanted) const {
  return std::upper_bound(seq.begin(), seq.end(), wanted) - seq.begin() - 1;
}

namespace {

const SegmentRows* findSegment(const std::vector<SegmentRows>& segments, std::int64_t number) {
  for (const auto& segment : segments)
    if (segment.segment == number)
      return &segment;
  return nullptr;
}

/// First row of the segment whose step is greater than `step`, at most `limit`.
std::int64_t endOfStep(const AxisColumns& axis,
                       const SegmentRows& segment,
                       std::int64_t step,
                       std::int64_t limit) {
  const auto first = axis.step.begin() + segment.firstRow;
  const auto last = axis.step.begin() + segment.endRow;
  return std::min<std::int64_t>(limit, std::upper_bound(first, last, step) - axis.step.begin());
}

}  // namespace

std::vector<LineSegment> lineAt(const std::vector<SegmentRows>& segments,
                                std::int64_t limit,
                                bool atEnd) {
  std::vector<LineSegment> line;
  const SegmentRows* at = nullptr;
  for (const auto& segment : segments)
    if (atEnd || (segment.firstRow >= 0 && segment.firstRow < limit))
      at = &segment;
  LineSegment next;
  while (at) {
    next.segment = at->segment;
    line.push_back(next);
    next.lastStep = std::min(next.lastStep, at->startStep);
    // Parents have smaller numbers; anything else is a damaged table and must not loop.
    at = at->parent < at->segment ? findSegment(segments, at->parent) : nullptr;
  }
  return line;
}

std::vector<RowSpan> spansAt(const AxisColumns& axis,
                             const std::vector<SegmentRows>& segments,
                             std::int64_t limit,
                             bool atEnd) {
  std::vector<RowSpan> live, rest;
  std::map<std::int64_t, std::int64_t> liveEnd;
  for (const auto& part : lineAt(segments, limit, atEnd)) {
    const auto* rows = findSegment(segments, part.segment);
    if (rows->firstRow < 0 || rows->firstRow >= limit)
      continue;
    const auto end = endOfStep(axis, *rows, part.lastStep, limit);
    liveEnd[part.segment] = end;
    if (end > rows->firstRow)
      live.push_back({part.segment, rows->firstRow, end, false});
  }
  std::reverse(live.begin(), live.end());
  for (const auto& segment : segments) {
    if (segment.firstRow < 0 || segment.firstRow >= limit)
      continue;
    const auto known = liveEnd.find(segment.segment);
    const auto from = known == liveEnd.end() ? segment.firstRow : known->second;
    const auto to = std::min(segment.endRow, limit);
    if (from < to)
      rest.push_back({segment.segment, from, to, true});
  }
  live.insert(live.end(), rest.begin(), rest.end());
  return live;
}

void SegmentCurve::append(const AxisColumns& axis, std::int64_t axisRow, double value) {
  row.push_back(static_cast<std::int32_t>(axisRow));
  y.push_back(value);
  const auto before = nonPositive.empty() ? 0U : nonPositive.back();
  nonPositive.push_back(before + (std::isfinite(value) && value <= 0 ? 1U : 0U));
  for (int kind = 0; kind < 3; ++kind)
    if (const auto& pyramid = pyramids[static_cast<std::size_t>(kind)])
      pyramid->append(axis.x(static_cast<XKind>(kind), axisRow), value);
}

void SegmentCurve::addPyramid(const AxisColumns& axis, XKind kind) {
  auto& pyramid = pyramids[static_cast<std::size_t>(kind)];
  if (pyramid)
    return;
  pyramid = std::make_unique<storage::Pyramid>();
  for (std::size_t i = 0; i < row.size(); ++i)
    pyramid->append(axis.x(kind, row[i]), y[i]);
}

std::size_t SegmentCurve::lowerBound(std::int64_t axisRow) const {
  return static_cast<std::size_t>(std::lower_bound(row.begin(), row.end(), axisRow) - row.begin());
}

void Curve::addKind(const AxisColumns& axis, XKind kind) {
  kinds[static_cast<std::size_t>(kind)] = true;
  for (auto& entry : segments)
    entry.second.addPyramid(axis, kind);
}

void Curve::append(const AxisColumns& axis, std::int64_t axisRow, double value) {
  const auto number = axis.segment[static_cast<std::size_t>(axisRow)];
  auto [entry, fresh] = segments.try_emplace(number);
  if (fresh)
    for (int kind = 0; kind < 3; ++kind)
      if (kinds[static_cast<std::size_t>(kind)])
        entry->second.addPyramid(axis, static_cast<XKind>(kind));
  entry->second.append(axis, axisRow, value);
}

void Curve::smoothFrom(const Curve& raw,
                       const AxisColumns& axis,
                       const std::vector<SegmentRows>& segmentRows) {
  for (const auto& [number, source] : raw.segments) {
    auto done = std::size_t{0};
    if (const auto mine = segments.find(number); mine != segments.end())
      done = mine->second.y.size();
    if (done == source.y.size())
      continue;
    auto mean = means.find(number);
    if (mean == means.end())
      mean = means.emplace(number, meanAtStart(raw, axis, segmentRows, number)).first;
    for (auto i = done; i < source.y.size(); ++i)
      append(axis, source.row[i], mean->second.next(source.y[i]));
  }
  readTo = raw.readTo;
}

DebiasedMean Curve::meanAtStart(const Curve& raw,
                                const AxisColumns& axis,
                                const std::vector<SegmentRows>& segmentRows,
                                std::int64_t segment) const {
  const auto* rows = findSegment(segmentRows, segment);
  const bool rooted = !rows || rows->parent < 0 || rows->parent >= segment;
  if (rooted)
    return DebiasedMean(weight);
  // Replaying the parent up to the branch costs one pass per undo and needs no stored history.
  auto mean = meanAtStart(raw, axis, segmentRows, rows->parent);
  const auto parent = raw.segments.find(rows->parent);
  if (parent == raw.segments.end())
    return mean;
  for (std::size_t i = 0; i < parent->second.y.size(); ++i) {
    if (axis.step[static_cast<std::size_t>(parent->second.row[i])] > rows->startStep)
      break;
    mean.next(parent->second.y[i]);
  }
  return mean;
}

}  // namespace batchscope::session
