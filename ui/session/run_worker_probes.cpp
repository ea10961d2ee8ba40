#include "storage/run_reader.h"
#include "ui/session/convert.h"
#include "ui/session/run_worker.h"

#include <algorithm>

namespace batchscope::session {

void RunWorker::readPredicted(RunUpdate& update) {
  const auto pictures = reader_->probe_count();
  update.pictures = update.pictures || pictures != picturesKnown_;
  picturesKnown_ = pictures;
  for (const auto& place : reader_->predicted(lastPredicted_)) {
    lastPredicted_ = place.id;
    update.newPredictions.append({place.segment, place.step});
  }
}

void RunWorker::readProbes() {
  if (cancelled_ || !reader_)
    return;
  const auto place = store_->takeProbeWant();
  if (!place)
    return;
  try {
    Q_EMIT probesReady(generation_, probesAt(*place));
  } catch (const std::exception& error) {
    store_->wantProbesAgain(*place);
    report(QString::fromUtf8(error.what()));
  }
}

QList<ProbeItem> RunWorker::probesAt(const PredictionPlace& place) {
  if (reader_->probe_count() != pictures_.size()) {
    pictures_.clear();
    for (const auto& record : reader_->probes())
      pictures_.append(probeItem(record, classes_));
  }
  if (place.step < 0)
    return pictures_;
  // A run that went on with other pictures has more than these.
  QList<ProbeItem> probes;
  for (const auto& record : reader_->predictions_at(place.segment, place.step)) {
    const auto picture =
        std::find_if(pictures_.cbegin(), pictures_.cend(), [&record](const ProbeItem& known) {
          return known.probe == record.probe;
        });
    if (picture == pictures_.cend())
      continue;
    probes.append(*picture);
    probes.last().predictions = boxItems(record.boxes, classes_);
    probes.last().predictionPixels = record.pixels;
    probes.last().predictedStep = record.step;
  }
  return probes;
}

}  // namespace batchscope::session
