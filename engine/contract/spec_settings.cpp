#include "engine/contract/spec_settings.h"

namespace batchscope::contract {
namespace {

void take_places(DataSection& data, const DataSection& asked) {
  data.annotations = asked.annotations;
  data.images = asked.images;
  data.segments = asked.segments;
  data.list = asked.list;
  data.val_annotations = asked.val_annotations;
  data.val_images = asked.val_images;
  data.val_segments = asked.val_segments;
  data.val_list = asked.val_list;
  data.classes = asked.classes;
  data.hierarchy = asked.hierarchy;
  data.val_image_labels = asked.val_image_labels;
}

}  // namespace

RunSpec with_settings_of(RunSpec spec, const RunSpec& asked) {
  spec.run = asked.run;
  spec.eval = asked.eval;
  spec.checkpoint = asked.checkpoint;
  spec.telemetry = asked.telemetry;
  spec.guard = asked.guard;
  spec.distributed = asked.distributed;
  spec.precision.threads = asked.precision.threads;
  take_places(spec.data, asked.data);
  spec.data.loader_threads = asked.data.loader_threads;
  spec.data.max_broken = asked.data.max_broken;
  spec.batch.ranks = asked.batch.ranks;
  return spec;
}

}  // namespace batchscope::contract
