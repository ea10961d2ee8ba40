#include "ui/session/run_store.h"

#include <algorithm>
#include <cmath>

namespace batchscope::session {

namespace {

constexpr auto kWatchedFor = std::chrono::seconds(10);
constexpr std::size_t kSmoothingsKept = 3;
// Rows appended under one hold of the lock: about a millisecond.
constexpr std::size_t kRowSlice = 16384;

}  // namespace

std::int64_t RunStore::rows() const {
  const std::lock_guard lock(mutex_);
  return axis_.rows();
}

double RunStore::duration() const {
  const std::lock_guard lock(mutex_);
  return axis_.play.empty() ? 0 : axis_.play.back();
}

std::int64_t RunStore::rowsUpTo(double play) const {
  const std::lock_guard lock(mutex_);
  return std::upper_bound(axis_.play.begin(), axis_.play.end(), play) - axis_.play.begin();
}

std::vector<RowSpan> RunStore::spansLocked(std::int64_t limit) const {
  return spansAt(axis_, segments_, std::min(limit, axis_.rows()), limit >= axis_.rows());
}

std::vector<RowSpan> RunStore::spans(std::int64_t limit) const {
  const std::lock_guard lock(mutex_);
  return spansLocked(limit);
}

std::vector<LineSegment> RunStore::line(std::int64_t limit) const {
  const std::lock_guard lock(mutex_);
  return lineAt(segments_, limit, limit >= axis_.rows());
}

const Curve* RunStore::find(const CurveKey& key) const {
  const auto found = curves_.find(key);
  return found == curves_.end() ? nullptr : found->second.curve.get();
}

bool RunStore::view(
    SeriesView& view, const CurveWant& want, std::int64_t limit, double x0, double x1, int pixels) {
  const std::lock_guard lock(mutex_);
  const auto found = curves_.find(want.key);
  if (found == curves_.end() || !found->second.curve->kinds[static_cast<std::size_t>(want.kind)]) {
    wantLocked(want);
    return false;
  }
  auto& entry = found->second;
  entry.viewed = std::chrono::steady_clock::now();
  if (!axis_.seq.empty() && entry.curve->readTo < axis_.seq.back())
    wantLocked(want);
  fillView(view, *entry.curve, axis_, spansLocked(limit), want.kind, x0, x1, pixels);
  return true;
}

bool RunStore::hasWants() const {
  const std::lock_guard lock(mutex_);
  return !wants_.empty();
}

void RunStore::wantLocked(const CurveWant& want) {
  // A slider that is dragged asks for many weights: only the newest is worth computing.
  if (want.key.thousandths > 0)
    std::erase_if(wants_, [&](const CurveWant& other) {
      return other.kind == want.kind && other.key.series == want.key.series &&
             other.key.thousandths > 0;
    });
  if (std::find(wants_.begin(), wants_.end(), want) == wants_.end())
    wants_.push_back(want);
}

QPointF RunStore::xRange(XKind kind, std::int64_t limit) const {
  const std::lock_guard lock(mutex_);
  const auto count = std::min(limit, axis_.rows());
  if (count <= 0)
    return {0, 0};
  // A branch that was undone may reach further than the live line.
  double low = axis_.x(kind, 0), high = low;
  for (const auto& span : spansLocked(limit)) {
    low = std::min(low, axis_.x(kind, span.firstRow));
    high = std::max(high, axis_.x(kind, span.endRow - 1));
  }
  return {low, high};
}

SampleItem RunStore::itemLocked(std::int64_t row, XKind kind) const {
  SampleItem item;
  if (row < 0 || row >= axis_.rows())
    return item;
  const auto at = static_cast<std::size_t>(row);
  item.valid = true;
  item.x = axis_.x(kind, row);
  item.step = axis_.step[at];
  item.images = axis_.images[at];
  item.seconds = axis_.seconds[at];
  item.playSeconds = axis_.play[at];
  item.segment = axis_.segment[at];
  return item;
}

SampleItem RunStore::rowItem(std::int64_t row) const {
  const std::lock_guard lock(mutex_);
  return itemLocked(row, XKind::kStep);
}

std::int64_t RunStore::liveRowOfStep(std::int64_t step, std::int64_t limit) const {
  const std::lock_guard lock(mutex_);
  std::int64_t best = -1;
  for (const auto& span : spansLocked(limit)) {
    if (span.abandoned)
      break;
    const auto first = axis_.step.begin() + span.firstRow;
    const auto last = axis_.step.begin() + span.endRow;
    const auto past = std::upper_bound(first, last, step);
    if (past != first)
      best = past - axis_.step.begin() - 1;
  }
  return best;
}

QList<SampleItem> RunStore::samples(const CurveKey& key,
                                    XKind kind,
                                    std::int64_t limit,
                                    double x0,
                                    double x1,
                                    bool abandoned) const {
  const std::lock_guard lock(mutex_);
  QList<SampleItem> result;
  const auto* curve = find(key);
  if (!curve)
    return result;
  for (const auto& span : spansLocked(limit)) {
    const auto part = curve->segments.find(span.segment);
    if (part == curve->segments.end() || (span.abandoned && !abandoned))
      continue;
    const auto& rows = part->second.row;
    const auto at = [&](std::int64_t row) {
      return rows.begin() + static_cast<std::ptrdiff_t>(part->second.lowerBound(row));
    };
    const auto first =
        std::partition_point(at(span.firstRow), at(span.endRow), [&](std::int32_t row) {
          return axis_.x(kind, row) < x0;
        });
    const auto end = at(span.endRow);
    for (auto i = static_cast<std::size_t>(first - rows.begin());
         i < static_cast<std::size_t>(end - rows.begin());
         ++i) {
      auto item = itemLocked(rows[i], kind);
      if (item.x > x1)
        break;
      item.value = part->second.y[i];
      item.abandoned = span.abandoned;
      result.append(item);
    }
  }
  return result;
}

namespace {

/// The samples of the live line as one indexable sequence.
class LiveLine {
 public:
  LiveLine(const Curve& curve, const std::vector<RowSpan>& spans) {
    for (const auto& span : spans) {
      const auto part = curve.segments.find(span.segment);
      if (span.abandoned || part == curve.segments.end())
        continue;
      const auto first = part->second.lowerBound(span.firstRow);
      const auto end = part->second.lowerBound(span.endRow);
      if (first < end) {
        pieces_.push_back({&part->second, first, size_});
        size_ += end - first;
      }
    }
  }
  std::size_t size() const { return size_; }
  std::int64_t row(std::size_t index) const {
    const auto& piece = pieceOf(index);
    return piece.curve->row[piece.first + index - piece.offset];
  }
  double value(std::size_t index) const {
    const auto& piece = pieceOf(index);
    return piece.curve->y[piece.first + index - piece.offset];
  }
  /// First index whose x is >= x.
  std::size_t lowerBound(const AxisColumns& axis, XKind kind, double x) const {
    std::size_t low = 0, high = size_;
    while (low < high) {
      const auto middle = low + (high - low) / 2;
      if (axis.x(kind, row(middle)) < x)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }

 private:
  struct Piece {
    const SegmentCurve* curve;
    std::size_t first, offset;
  };
  const Piece& pieceOf(std::size_t index) const {
    auto at = pieces_.size() - 1;
    while (pieces_[at].offset > index)
      --at;
    return pieces_[at];
  }
  std::vector<Piece> pieces_;
  std::size_t size_ = 0;
};

}  // namespace

SampleItem RunStore::nearest(
    const CurveKey& key, XKind kind, std::int64_t limit, double x, int offset) const {
  const std::lock_guard lock(mutex_);
  const auto* curve = find(key);
  if (!curve)
    return {};
  const LiveLine line(*curve, spansLocked(limit));
  if (line.size() == 0)
    return {};
  auto at = line.lowerBound(axis_, kind, x);
  if (at == line.size())
    --at;
  if (at > 0 && x - axis_.x(kind, line.row(at - 1)) < axis_.x(kind, line.row(at)) - x)
    --at;
  const auto moved = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(at) + offset, 0, static_cast<std::int64_t>(line.size()) - 1);
  const auto index = static_cast<std::size_t>(moved);
  auto item = itemLocked(line.row(index), kind);
  item.value = line.value(index);
  return item;
}

SampleItem RunStore::nextNonFinite(const CurveKey& key,
                                   XKind kind,
                                   std::int64_t limit,
                                   double x) const {
  const std::lock_guard lock(mutex_);
  const auto* curve = find(key);
  if (!curve)
    return {};
  const LiveLine line(*curve, spansLocked(limit));
  for (auto at = line.lowerBound(axis_, kind, x); at < line.size(); ++at) {
    auto item = itemLocked(line.row(at), kind);
    item.value = line.value(at);
    if (item.x > x && !std::isfinite(item.value))
      return item;
  }
  return {};
}

void RunStore::setSegments(std::vector<SegmentRows> segments) {
  const std::lock_guard lock(mutex_);
  for (auto& segment : segments)
    for (const auto& known : segments_)
      if (known.segment == segment.segment) {
        segment.firstRow = known.firstRow;
        segment.endRow = known.endRow;
      }
  segments_ = std::move(segments);
}

void RunStore::appendAxis(const AxisColumns& block) {
  for (std::size_t from = 0; from < block.seq.size(); from += kRowSlice) {
    const std::lock_guard lock(mutex_);
    const auto to = std::min(block.seq.size(), from + kRowSlice);
    for (auto i = from; i < to; ++i)
      appendRowLocked(block, i);
  }
}

void RunStore::appendRowLocked(const AxisColumns& block, std::size_t i) {
  const auto row = axis_.rows();
  const auto advance = axis_.seconds.empty() ? 0 : block.seconds[i] - axis_.seconds.back();
  axis_.play.push_back(axis_.play.empty() ? 0 : axis_.play.back() + std::max(0.0, advance));
  axis_.seq.push_back(block.seq[i]);
  axis_.segment.push_back(block.segment[i]);
  axis_.step.push_back(block.step[i]);
  axis_.images.push_back(block.images[i]);
  axis_.seconds.push_back(block.seconds[i]);
  for (auto& segment : segments_)
    if (segment.segment == block.segment[i]) {
      segment.firstRow = segment.firstRow < 0 ? row : segment.firstRow;
      segment.endRow = row + 1;
    }
}

std::vector<CurveWant> RunStore::takeWants() {
  const std::lock_guard lock(mutex_);
  return std::exchange(wants_, {});
}

void RunStore::wantProbes(const PredictionPlace& place) {
  const std::lock_guard lock(mutex_);
  probeWant_ = place;
}

std::optional<PredictionPlace> RunStore::takeProbeWant() {
  const std::lock_guard lock(mutex_);
  return std::exchange(probeWant_, std::nullopt);
}

void RunStore::wantProbesAgain(const PredictionPlace& place) {
  const std::lock_guard lock(mutex_);
  if (!probeWant_)
    probeWant_ = place;
}

std::vector<CurveKey> RunStore::watched() const {
  const std::lock_guard lock(mutex_);
  std::vector<CurveKey> keys;
  const auto now = std::chrono::steady_clock::now();
  for (const auto& [key, entry] : curves_)
    if (now - entry.viewed < kWatchedFor)
      keys.push_back(key);
  return keys;
}

Curve* RunStore::curve(const CurveKey& key) {
  const auto found = curves_.find(key);
  return found == curves_.end() ? nullptr : found->second.curve.get();
}

void RunStore::publish(const CurveKey& key, std::unique_ptr<Curve> curve) {
  std::unique_ptr<Curve> forgotten;  // freed after the lock: a long curve takes a while
  const std::lock_guard lock(mutex_);
  auto& entry = curves_[key];
  std::swap(entry.curve, curve);
  entry.viewed = std::chrono::steady_clock::now();
  if (key.thousandths == 0)
    return;
  // Forgotten weights of the slider would pile up.
  std::vector<CurveKey> smoothings;
  for (const auto& other : curves_)
    if (other.first.series == key.series && other.first.thousandths > 0)
      smoothings.push_back(other.first);
  if (smoothings.size() <= kSmoothingsKept)
    return;
  const auto oldest = std::min_element(
      smoothings.begin(), smoothings.end(), [&](const CurveKey& a, const CurveKey& b) {
        return curves_[a].viewed < curves_[b].viewed;
      });
  forgotten = std::move(curves_[*oldest].curve);
  curves_.erase(*oldest);
}

}  // namespace batchscope::session
