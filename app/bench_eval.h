#pragma once

#include "app/bench_eval_data.h"

#include <map>

namespace CLI {
class App;
}

namespace batchscope {

struct BenchEvalOptions {
  EvalDataOptions data;                    // drawn unless files are given
  std::string truth, results;              // COCO files; both or none
  std::string type = "bbox";               // bbox or segm
  std::string keep;                        // folder that the drawn files are left in; empty: none
  unsigned threads = 0;                    // 0: one for each CPU
  int rounds = 5;                          // whole commands of each kind
  std::string program = "/proc/self/exe";  // batchscope-engine
};

/// A whole command `metrics`, from its start to its end.
struct CommandTiming {
  double seconds = 0;   // wall clock, median of the rounds
  double peak_mib = 0;  // resident memory, largest of the rounds
};

struct EvalTiming {
  std::size_t images = 0, objects = 0, detections = 0, categories = 0;
  unsigned threads = 1;
  CommandTiming command, command_one_thread;
  double read_truth = 0, read_results = 0;       // s, in this process, fastest of the rounds
  double evaluate = 0, evaluate_one_thread = 0;  // s
  std::map<std::string, double> metrics;
};

/// Times the evaluation of COCO files. Throws contract::SpecError for options out of range,
/// contract::DataError for files that cannot be read, contract::StorageError when the command could
/// not be run.
EvalTiming measure_eval(const BenchEvalOptions& options);

/// Adds `eval` to the command `bench`: measures, prints a table or, with --json, one object to
/// stdout or to the file that follows. Errors leave as exceptions.
void add_bench_eval(CLI::App& bench);

}  // namespace batchscope
