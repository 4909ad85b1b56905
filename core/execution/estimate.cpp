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

/// A clock whose links give each transfer on them an equal share of their bandwidth, used or not.
class EqualShares {
 public:
  explicit EqualShares(const Network& network)
      : network_(network),
        link_load_(network),
        on_link_(network.links().size()),
        share_of_(on_link_.size()),
        is_changed_(on_link_.size()) {}

  [[nodiscard]] double now() const { return now_s_; }
  void after(double seconds, Event event) { due_.push({now_s_ + seconds, event, kNone, 0}); }
  void send(Rank from, Rank to, double bytes, Event arrived);
  void set_computing(Rank rank, bool computes);
  template <typename Handle>
  void run(Handle&& handle);

 private:
  struct Flow {
    Rank from = 0, to = 0;
    Route route;
    double bytes_left = 0;  ///< at `since_s`
    double since_s = 0;
    double bytes_per_s = 0;
    Event arrived{};
    std::uint32_t version = 0;                     ///< of its end: a Due with an earlier one is out of date
    std::array<std::uint32_t, 6> index_on_link{};  ///< by link of the route: index in `on_link_`
  };
  /// An event that is due at a time: the end of a flow, or a timer.
  struct Due {
    double at_s;
    Event event;
    std::uint32_t flow;  ///< kNone: a timer
    std::uint32_t version;

    /// Flows end before timers of the same moment.
    friend bool operator>(const Due& a, const Due& b) {
      return a.at_s != b.at_s ? a.at_s > b.at_s : a.flow == kNone && b.flow != kNone;
    }
  };

  [[nodiscard]] bool is_outdated(const Due& due) const {
    return due.flow != kNone && flows_[due.flow].version != due.version;
  }
  void leave_links(std::uint32_t flow);
  void mark_changed(LinkId link);
  void share();
  void update_rate(std::uint32_t flow);

  const Network& network_;
  LinkLoad link_load_;
  double now_s_ = 0;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::vector<Flow> flows_;
  std::vector<std::uint32_t> idle_;                  ///< indices in `flows_` that are free
  std::vector<std::vector<std::uint32_t>> on_link_;  ///< by link: flows
  std::vector<double> share_of_;                     ///< by link: bytes per second of each flow on it
  std::vector<bool> is_changed_;
  std::vector<LinkId> changed_;  ///< links whose flows or capacity changed since the last share()
};

void EqualShares::mark_changed(LinkId link) {
  if (!is_changed_[link]) changed_.push_back(link);
  is_changed_[link] = true;
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
    flow.index_on_link[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(on_link_[link].size());
    on_link_[link].push_back(id);
    mark_changed(link);
  }
}

void EqualShares::set_computing(Rank rank, bool computes) {
  const Route slowed = link_load_.count_compute(rank, computes ? 1 : -1);
  for (LinkId link : slowed) mark_changed(link);
}

void EqualShares::leave_links(std::uint32_t id) {
  const Flow& flow = flows_[id];
  link_load_.remove_message(flow.from, flow.to, flow.route);
  for (std::size_t i = 0; i < static_cast<std::size_t>(flow.route.count); ++i) {
    const LinkId link = flow.route.links[i];
    const std::uint32_t last = on_link_[link].back();
    on_link_[link][flow.index_on_link[i]] = last;
    Flow& moved = flows_[last];
    for (std::size_t k = 0; k < static_cast<std::size_t>(moved.route.count); ++k)
      if (moved.route.links[k] == link) moved.index_on_link[k] = flow.index_on_link[i];
    on_link_[link].pop_back();
    mark_changed(link);
  }
}

/// Gives a flow the smallest share on its route, and its end a new time.
void EqualShares::update_rate(std::uint32_t id) {
  Flow& flow = flows_[id];
  double bytes_per_s = std::numeric_limits<double>::infinity();
  for (LinkId link : flow.route.span()) bytes_per_s = std::min(bytes_per_s, share_of_[link]);
  if (bytes_per_s == flow.bytes_per_s) return;
  flow.bytes_left -= (now_s_ - flow.since_s) * flow.bytes_per_s;
  flow.since_s = now_s_;
  flow.bytes_per_s = bytes_per_s;
  due_.push({now_s_ + std::max(0.0, flow.bytes_left) / bytes_per_s, flow.arrived, id, ++flow.version});
}

/// Shares the links anew whose flows or capacity changed.
void EqualShares::share() {
  for (LinkId link : changed_) share_of_[link] = link_load_.capacity(link) / static_cast<double>(on_link_[link].size());
  for (LinkId link : changed_) {
    is_changed_[link] = false;
    for (std::uint32_t flow : on_link_[link]) update_rate(flow);
  }
  changed_.clear();
}

template <typename Handle>
void EqualShares::run(Handle&& handle) {
  constexpr double kSameTime_s = 1e-12;
  while (!due_.empty()) {
    const double until_s = due_.top().at_s + kSameTime_s;
    while (!due_.empty() && due_.top().at_s <= until_s) {
      const Due due = due_.top();
      due_.pop();
      if (is_outdated(due)) continue;
      now_s_ = std::max(now_s_, due.at_s);
      if (due.flow != kNone) {
        leave_links(due.flow);
        idle_.push_back(due.flow);
      }
      handle(due.event);
    }
    share();
  }
}

}  // namespace

Trace estimate(const Schedule& schedule, const Network& network, const OpTimes& times, Receive receive) {
  EqualShares clock(network);
  Engine engine(schedule, network, times, receive, clock);
  Trace trace = engine.run();
  if (const std::string deadlock = engine.deadlock(); !deadlock.empty()) throw InvalidSchedule(deadlock);
  return trace;
}

}  // namespace meshattn
