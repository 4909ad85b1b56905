#include "core/execution/estimate.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <queue>
#include <vector>

#include "core/base/error.h"
#include "core/execution/link_load.h"

namespace meshattn {

namespace {

/// A clock on whose network the transfers on a link get equal shares of it, used or not.
class EqualShares {
 public:
  explicit EqualShares(const Network& network)
      : network_(network),
        link_load_(network),
        on_link_(network.links().size()),
        share_of_(on_link_.size()),
        is_touched_(on_link_.size()) {}

  [[nodiscard]] double now() const { return now_s_; }
  void after(double seconds, Event event) { due_.push({now_s_ + seconds, event, kNone, 0}); }
  void send(Rank from, Rank to, double bytes, Event arrived);
  void compute(Rank rank, int by);
  template <typename Happened>
  void run(Happened&& happened);

 private:
  struct Flow {
    Rank from = 0, to = 0;
    Route route;
    double bytes_left = 0;  ///< at `since_s`
    double since_s = 0;
    double bytes_per_s = 0;
    Event arrived{};
    std::uint32_t version = 0;             ///< of its end: an earlier one is void
    std::array<std::uint32_t, 6> place{};  ///< by link of the route: where it is in `on_link_`
  };
  struct Due {
    double at_s;
    Event event;
    std::uint32_t flow;  ///< that ends; kNone: a timer
    std::uint32_t version;

    friend bool operator>(const Due& a, const Due& b) {
      return a.at_s != b.at_s ? a.at_s > b.at_s : a.flow == kNone && b.flow != kNone;
    }
  };

  [[nodiscard]] bool is_void(const Due& due) const {
    return due.flow != kNone && flows_[due.flow].version != due.version;
  }
  void leave_links(std::uint32_t flow);
  void touch(LinkId link);
  void share();
  void share(std::uint32_t flow);

  const Network& network_;
  LinkLoad link_load_;
  double now_s_ = 0;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::vector<Flow> flows_;
  std::vector<std::uint32_t> idle_;                  ///< places in `flows_` to use again
  std::vector<std::vector<std::uint32_t>> on_link_;  ///< flows
  std::vector<double> share_of_;                     ///< by link: bytes/s of each flow on it
  std::vector<bool> is_touched_;
  std::vector<LinkId> touched_;  ///< links that flows have come to or left since they were shared out
};

void EqualShares::touch(LinkId link) {
  if (!is_touched_[link]) touched_.push_back(link);
  is_touched_[link] = true;
}

void EqualShares::send(Rank from, Rank to, double bytes, Event arrived) {
  if (idle_.empty()) {
    idle_.push_back(static_cast<std::uint32_t>(flows_.size()));
    flows_.emplace_back();
  }
  const std::uint32_t id = idle_.back();
  idle_.pop_back();
  Flow& flow = flows_[id];
  flow.from = from;
  flow.to = to;
  flow.route = network_.route(from, to);
  link_load_.add_message(from, to, flow.route);
  flow.bytes_left = bytes;
  flow.since_s = now_s_;
  flow.bytes_per_s = 0;
  flow.arrived = arrived;
  for (int i = 0; i < flow.route.count; ++i) {
    const LinkId link = flow.route.links[static_cast<std::size_t>(i)];
    flow.place[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(on_link_[link].size());
    on_link_[link].push_back(id);
    touch(link);
  }
}

void EqualShares::compute(Rank rank, int by) {
  const Route slowed = link_load_.count_compute(rank, by);
  for (LinkId link : slowed) touch(link);
}

void EqualShares::leave_links(std::uint32_t id) {
  const Flow& flow = flows_[id];
  link_load_.remove_message(flow.from, flow.to, flow.route);
  for (std::size_t i = 0; i < static_cast<std::size_t>(flow.route.count); ++i) {
    const LinkId link = flow.route.links[i];
    const std::uint32_t last = on_link_[link].back();
    on_link_[link][flow.place[i]] = last;
    Flow& moved = flows_[last];
    for (std::size_t k = 0; k < static_cast<std::size_t>(moved.route.count); ++k)
      if (moved.route.links[k] == link) moved.place[k] = flow.place[i];
    on_link_[link].pop_back();
    touch(link);
  }
}

void EqualShares::share(std::uint32_t id) {
  Flow& flow = flows_[id];
  double bytes_per_s = std::numeric_limits<double>::infinity();
  for (LinkId link : flow.route.span()) bytes_per_s = std::min(bytes_per_s, share_of_[link]);
  if (bytes_per_s == flow.bytes_per_s) return;
  flow.bytes_left -= (now_s_ - flow.since_s) * flow.bytes_per_s;
  flow.since_s = now_s_;
  flow.bytes_per_s = bytes_per_s;
  due_.push({now_s_ + std::max(0.0, flow.bytes_left) / bytes_per_s, flow.arrived, id, ++flow.version});
}

void EqualShares::share() {
  for (LinkId link : touched_) share_of_[link] = link_load_.capacity(link) / static_cast<double>(on_link_[link].size());
  for (LinkId link : touched_) {
    is_touched_[link] = false;
    for (std::uint32_t flow : on_link_[link]) share(flow);
  }
  touched_.clear();
}

template <typename Happened>
void EqualShares::run(Happened&& happened) {
  constexpr double kSameTime_s = 1e-12;
  while (!due_.empty()) {
    const double until_s = due_.top().at_s + kSameTime_s;
    while (!due_.empty() && due_.top().at_s <= until_s) {
      const Due due = due_.top();
      due_.pop();
      if (is_void(due)) continue;
      now_s_ = std::max(now_s_, due.at_s);
      if (due.flow != kNone) {
        leave_links(due.flow);
        idle_.push_back(due.flow);
      }
      happened(due.event);
    }
    share();
  }
}

}  // namespace

Trace estimate(const Schedule& schedule, const Network& network, const OpTimes& times, Receive receive) {
  EqualShares clock(network);
  Engine engine(schedule, network, times, receive, clock);
  Trace trace = engine.run();
  if (const std::string problem = engine.deadlock(); !problem.empty()) throw InvalidSchedule(problem);
  return trace;
}

}  // namespace meshattn
