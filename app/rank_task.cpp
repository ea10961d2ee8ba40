#include "app/rank_task.h"

#include "engine/contract/error.h"

#include <nlohmann/json.hpp>

namespace batchscope::app {

RankTask share_task(train::Group& group, RankTask task, const std::string& failure) {
  const nlohmann::json mine = {{"spec", contract::to_toml(task.spec)},
                               {"folder", task.folder.string()},
                               {"from", task.from.string()},
                               {"goes_on", task.goes_on},
                               {"sets", task.sets},
                               {"because", task.because},
                               {"failure", failure},
                               {"refusal", task.refusal}};
  const nlohmann::json all = nlohmann::json::parse(group.broadcast_bytes(mine.dump(), 0));
  if (const std::string why = all.at("failure"); !why.empty()) {
    throw contract::Error(static_cast<contract::ExitCode>(all.at("refusal").get<int>()), why);
  }
  if (group.rank() == 0) {
    return task;
  }
  task.spec = contract::parse_spec(all.at("spec").get<std::string>());
  task.folder = all.at("folder").get<std::string>();
  task.from = all.at("from").get<std::string>();
  task.goes_on = all.at("goes_on");
  task.sets = all.at("sets").get<std::vector<std::string>>();
  task.because = all.at("because");
  return task;
}

}  // namespace batchscope::app
