#include "tests/histories/pretend_server.hpp"

#include <algorithm>
#include <utility>

#include <boost/json.hpp>

#include "tests/histories/rules.hpp"

namespace locker::histories {
namespace {

namespace json = boost::json;

constexpr Nanoseconds millisecond = 1'000'000;
constexpr std::size_t clients = 10;
constexpr std::int64_t canhaz_ttl_ms = 2'000;

json::object describe(const Record& grant, std::int64_t ttl_ms) {
  json::object object{{"path", grant.path},
                      {"owner", grant.owner},
                      {"mode", grant.shape.is_shared ? "shared" : "exclusive"},
                      {"lock_parents", grant.shape.lock_parents},
                      {"lock_children", grant.shape.lock_children},
                      {"fence", grant.fence},
                      {"state", "held"},
                      {"ttl_ms", nullptr},
                      {"expires_in_ms", nullptr}};
  if (ttl_ms != 0) object["ttl_ms"] = object["expires_in_ms"] = ttl_ms;
  return object;
}

json::object describe_waiter(const Operation& waiter) {
  const Wanted& wanted = waiter.wanted.front();
  return {{"path", wanted.path},
          {"owner", waiter.owner},
          {"mode", wanted.shape.is_shared ? "shared" : "exclusive"},
          {"lock_parents", wanted.shape.lock_parents},
          {"lock_children", wanted.shape.lock_children},
          {"fence", nullptr},
          {"state", "waiting"}};
}

}  // namespace

PretendServer::PretendServer(std::uint64_t seed, Wrong wrong) : choices_(seed), wrong_(wrong) {
  evidence_.history.seed = seed;
  evidence_.history.canhaz_ttl_ms = canhaz_ttl_ms;
  evidence_.events.push_back({ServerEvent::Kind::started, now_, 0});
}

Evidence PretendServer::run(std::size_t operations) {
  left_ = operations;
  for (unsigned number = 0; number < clients; ++number) {
    Client& client = clients_.emplace_back();
    client.number = number;
    think(client);
  }
  at(now_ + 3'000 * millisecond, [this] { restart(); });
  while (!agenda_.empty() && left_ > 0) {
    const auto next = agenda_.begin();
    now_ = std::max(now_ + 1, next->first);
    const auto what = std::move(next->second);
    agenda_.erase(next);
    what();
  }
  for (const CallPointer& call : calls_) {
    if (call->is_left || call->operation.got != 0) continue;
    call->operation.closed = now_;
    evidence_.history.operations.push_back(call->operation);
  }
  for (const Held& held : held_) {
    if (wrong_ == Wrong::torn_store && wrongs_ == 0) {
      ++wrongs_;
      continue;
    }
    Record& read = evidence_.store.emplace_back(held.grant);
    read.index = evidence_.journal.size();
    read.ttl_ms = leases_[held.token].ttl_ms;
  }
  std::uint64_t line = 1;
  for (Operation& operation : evidence_.history.operations) {
    // What a file would make of it.
    operation = parse_operation(line_of(operation));
    operation.line = ++line;
  }
  return std::move(evidence_);
}

bool PretendServer::goes_wrong(Wrong wrong) {
  if (wrong != wrong_ || !choices_.chance(0.1)) return false;
  ++wrongs_;
  return true;
}

void PretendServer::at(Nanoseconds time, std::function<void()> what) {
  agenda_.emplace(time, std::move(what));
}

// Clients.

void PretendServer::think(Client& client) {
  // Now and then it sleeps longer than its lease lives.
  const auto thinks = choices_.chance(0.02) ? choices_.about(1'000) : choices_.about(60);
  at(now_ + thinks.count() * millisecond + 1, [this, &client] { send(client, choose(client)); });
}

Operation PretendServer::choose(Client& client) {
  static const std::vector<std::string> paths{"/",      "/a",   "/a/b", "/a/b/c",
                                              "/a/b/d", "/e/f", "/e",   "/e/g"};
  Operation operation;
  operation.client = client.number;
  operation.token = client.token;
  operation.owner = client.owner;
  operation.wanted.push_back({choices_.one_of(paths), {}});
  Shape& shape = operation.wanted.front().shape;
  shape.lock_parents = choices_.chance(0.6);
  shape.lock_children = choices_.chance(0.6);
  const double dice = choices_.fraction();
  if (dice < 0.2) {
    operation.kind = dice < 0.1 ? Kind::look : Kind::dohaz;
    operation.token = operation.owner = "";
    return operation;
  }
  if (dice < 0.22) {
    operation.kind = Kind::force;
    operation.filter.path = operation.path();
    operation.token = operation.owner = "";
    return operation;
  }
  if (choices_.chance(0.04)) client.held.clear();  // it forgets them, and they expire
  if (client.held.empty()) {
    client.by_canhaz = choices_.chance(0.25);
    client.token = client.by_canhaz ? "" : choices_.token();
    client.owner = "c" + std::to_string(client.number) + "." + std::to_string(++client.leases);
    client.ttl_ms = choices_.one_of<std::int64_t>({0, 300, 1'000, 4'000});
    operation.token = client.token;
    operation.owner = client.owner;
    operation.kind = client.by_canhaz ? Kind::canhaz : Kind::acquire;
    shape.is_shared = !client.by_canhaz && choices_.chance(0.4);
    if (client.by_canhaz) return operation;
    operation.ttl_ms = client.ttl_ms;
    if (choices_.chance(0.6)) operation.wait_ms = choices_.one_of<std::int64_t>({50, 200, 700});
    return operation;
  }
  const Wanted held = choices_.one_of(client.held);
  operation.ttl_ms.reset();
  if (client.by_canhaz) {
    operation.kind = Kind::nowant;
    operation.wanted.front() = held;
  } else if (dice < 0.45) {
    operation.kind = Kind::release;
    operation.wanted.front() = held;
  } else if (dice < 0.6) {
    operation.kind = Kind::release_all;
    operation.wanted.clear();
  } else if (dice < 0.75) {
    operation.kind = Kind::renew;
    operation.wanted.clear();
  } else {
    operation.kind = Kind::acquire;
    operation.ttl_ms = client.ttl_ms;
    if (dice < 0.9) operation.wanted.front() = held;
    if (dice < 0.85) shape.is_shared = !held.shape.is_shared;
    const bool is_held = std::any_of(client.held.begin(), client.held.end(), [&](const auto& each) {
      return each.path == operation.path();
    });
    if (dice >= 0.9 && is_held) operation.wanted.front() = held;
    if (choices_.chance(0.5)) operation.wait_ms = 100;
  }
  return operation;
}

void PretendServer::send(Client& client, Operation operation) {
  if (left_ > 0) --left_;
  const auto call = std::make_shared<Call>();
  operation.sent = now_;
  operation.got = operation.closed = 0;
  call->operation = std::move(operation);
  call->client = &client;
  call->life = life_;
  calls_.push_back(call);
  const auto travels = [this] { return static_cast<Nanoseconds>(choices_.below(400'000)) + 1; };
  at(now_ + travels(), [this, call] { decide(call); });
  const bool may_lose = call->operation.kind != Kind::canhaz;
  if (!may_lose || !choices_.chance(0.06)) return;
  const Nanoseconds patience = 1 + static_cast<Nanoseconds>(choices_.below(static_cast<std::size_t>(
                                       millisecond + call->operation.wait_ms * millisecond)));
  at(now_ + patience, [this, call] { lose(call); });
}

/// The connection is closed before the reply has come.
void PretendServer::lose(const CallPointer& call) {
  if (call->is_left || call->operation.got != 0) return;
  call->is_left = true;
  call->operation.closed = now_;
  evidence_.history.operations.push_back(call->operation);
  const auto waits = std::find(waiting_.begin(), waiting_.end(), call);
  if (waits != waiting_.end()) {
    waiting_.erase(waits);
    for (Nanoseconds later = 12'000; later < 20'000; later += 500) {
      at(now_ + later * millisecond, [this, call] {
        if (!is_free(call->operation, waiting_.size())) return;
        if (goes_wrong(Wrong::grant_to_who_left)) grant(call->operation, call->operation.token);
      });
    }
    settle();
  }
  Operation again = call->operation;
  ++again.attempt;
  if (choices_.chance(0.3) || again.kind == Kind::canhaz) {
    call->client->held.clear();
    return think(*call->client);
  }
  at(now_ + millisecond, [this, call, again] { send(*call->client, again); });
}

void PretendServer::answer(const CallPointer& call, unsigned status, std::string body) {
  Index index = evidence_.journal.size();
  if (index > 10 && goes_wrong(Wrong::stale_state)) index -= 8;
  const bool ends = call->operation.kind == Kind::release && status == 200;
  if (ends && goes_wrong(Wrong::other_index)) --index;
  const Nanoseconds travels = static_cast<Nanoseconds>(choices_.below(400'000)) + 1;
  at(now_ + travels,
     [this, call, status, body = std::move(body), index] { get(call, status, body, index); });
}

void PretendServer::get(const CallPointer& call, unsigned status, std::string body, Index index) {
  if (call->life != life_) return lose(call);
  if (call->is_left) return;
  Operation& operation = call->operation;
  operation.got = now_;
  operation.status = status;
  operation.index = index;
  operation.body = std::move(body);
  evidence_.history.operations.push_back(operation);
  operation.reply = parse_reply(operation.body);
  learn(*call->client, operation);
  think(*call->client);
}

void PretendServer::learn(Client& client, const Operation& operation) {
  const auto is_there = [&operation](const Wanted& held) { return held.path == operation.path(); };
  if (operation.kind == Kind::canhaz && operation.reply.ok) {
    client.token = operation.reply.token;
    client.held = operation.wanted;
  } else if (operation.kind == Kind::acquire &&
             (operation.status == 200 || operation.status == 201)) {
    std::erase_if(client.held, is_there);
    client.held.push_back(operation.wanted.front());
  } else if (operation.kind == Kind::release || operation.kind == Kind::nowant) {
    std::erase_if(client.held, is_there);
  } else if (operation.kind == Kind::release_all || operation.status == 410) {
    client.held.clear();
  }
}

// The server.

Record& PretendServer::record(Record::Kind kind) {
  Record& record = evidence_.journal.emplace_back();
  record.kind = kind;
  record.index = evidence_.journal.size();
  return record;
}

PretendServer::Held* PretendServer::find(const std::string& token, const std::string& path) {
  const auto at = std::find_if(held_.begin(), held_.end(), [&](const Held& held) {
    return held.token == token && held.grant.path == path;
  });
  return at == held_.end() ? nullptr : &*at;
}

bool PretendServer::is_held_against(const Operation& operation, const Held& held) const {
  const Wanted& wanted = operation.wanted.front();
  if (operation.kind == Kind::canhaz) return blocks(held.grant.path, held.grant.shape, wanted.path);
  return held.token != operation.token &&
         clash(held.grant.path, held.grant.shape, wanted.path, wanted.shape);
}

bool PretendServer::waits_against(const Operation& waiter, const Operation& operation) const {
  const Wanted& its = waiter.wanted.front();
  const Wanted& wanted = operation.wanted.front();
  if (operation.kind == Kind::canhaz) return blocks(its.path, its.shape, wanted.path);
  if (waiter.token == operation.token) return false;
  for (const Held& held : held_) {
    const bool is_own = held.token == operation.token;
    // A change of mode passes all, and who holds what another waits for passes that one.
    if (is_own && held.grant.path == wanted.path) return false;
    if (is_own && clash(held.grant.path, held.grant.shape, its.path, its.shape)) return false;
  }
  return clash(its.path, its.shape, wanted.path, wanted.shape);
}

bool PretendServer::is_free(const Operation& operation, std::size_t waiters_before) {
  const std::string& path = operation.path();
  for (const Held& held : held_) {
    if (!is_held_against(operation, held)) continue;
    if (goes_wrong(Wrong::overlap)) continue;
    if (is_below(held.grant.path, path) && goes_wrong(Wrong::child_overlap)) continue;
    return false;
  }
  for (std::size_t place = 0; place < waiters_before; ++place) {
    if (!waits_against(waiting_[place]->operation, operation)) continue;
    if (!goes_wrong(Wrong::overtaking)) return false;
  }
  return true;
}

const PretendServer::Held* PretendServer::covering(const std::string& path) const {
  const Held* found = nullptr;
  std::size_t distance = 0;
  for (const Held& held : held_) {
    if (!blocks(held.grant.path, held.grant.shape, path)) continue;
    const std::size_t its = is_at_or_below(path, held.grant.path)
                                ? path.size() - held.grant.path.size()
                                : path.size() + 1;
    if (found != nullptr && its >= distance) continue;
    found = &held;
    distance = its;
  }
  return found;
}

void PretendServer::decide(const CallPointer& call) {
  if (call->life != life_) return lose(call);
  if (goes_wrong(Wrong::lost_lock) && !held_.empty()) held_.erase(held_.begin());
  if (goes_wrong(Wrong::unasked_grant)) {
    Operation ghost;
    ghost.owner = "ghost" + std::to_string(wrongs_);
    ghost.wanted.push_back({"/z", {true, false, false}});
    grant(ghost, ghost.owner);
  }
  if (refuses_undecided(call)) return;
  switch (call->operation.kind) {
    case Kind::canhaz:
      return canhaz(call);
    case Kind::acquire:
      return acquire(call);
    case Kind::nowant:
    case Kind::release:
      return release(call);
    case Kind::release_all:
      return release_all(call);
    case Kind::renew:
      return renew(call);
    case Kind::force:
      return force(call);
    case Kind::dohaz:
      return dohaz(call);
    default:
      return look(call);
  }
}

bool PretendServer::refuses_undecided(const CallPointer& call) {
  const Kind kind = call->operation.kind;
  const bool only_looks = kind == Kind::dohaz || kind == Kind::look;
  const bool is_legacy = kind == Kind::canhaz || kind == Kind::nowant;
  std::string_view error;
  if (goes_wrong(Wrong::full_disk)) error = "disk_full";
  if (goes_wrong(Wrong::draining)) error = "draining";
  if (only_looks && goes_wrong(Wrong::busy_look)) error = "busy";
  if (wrong_ == Wrong::often_busy && !only_looks && choices_.chance(0.7)) {
    ++wrongs_;
    error = is_legacy ? "The journal is making room." : "busy";
  }
  if (error.empty()) return false;
  const json::object body{{"error", error}};
  answer(call, error == "disk_full" ? 507 : 503, json::serialize(body));
  return true;
}

PretendServer::Held& PretendServer::grant(const Operation& operation, const std::string& token) {
  const auto [lease, is_fresh] = leases_.try_emplace(token);
  if (is_fresh) {
    lease->second = {++last_lease_, operation.owner, operation.ttl_ms.value_or(0), 0};
    if (operation.kind == Kind::canhaz) lease->second.ttl_ms = canhaz_ttl_ms;
    ended_.erase(token);
  }
  Record grant;
  grant.lease = lease->second.number;
  last_fence_ += 1 + choices_.below(5);
  grant.fence = goes_wrong(Wrong::falling_fence) ? last_fence_ - 10 : last_fence_;
  grant.path = operation.path();
  grant.shape = operation.wanted.front().shape;
  grant.owner = lease->second.owner;
  grant.ttl_ms = lease->second.ttl_ms;
  if (!goes_wrong(Wrong::lost_record)) {
    Record& written = record(Record::Kind::granted);
    grant.index = written.index;
    written = grant;
  }
  held_.push_back({grant, token});
  keep(token);
  return held_.back();
}

/// The lease's TTL counts from now.
void PretendServer::keep(const std::string& token) {
  Lease& lease = leases_.at(token);
  if (lease.ttl_ms == 0) return;
  Nanoseconds lives = lease.ttl_ms * millisecond;
  if (goes_wrong(Wrong::early_expiry)) lives /= 2;
  if (lease.never_expires || goes_wrong(Wrong::no_expiry)) {
    lease.never_expires = true;
    lives *= 1'000;
  }
  lease.expires = now_ + lives;
  at(lease.expires, [this, token, due = lease.expires] { expire(token, due); });
}

void PretendServer::expire(const std::string& token, Nanoseconds due) {
  const auto lease = leases_.find(token);
  if (lease == leases_.end() || lease->second.expires != due) return;
  end_all(token, Record::Kind::expired);
  settle();
}

void PretendServer::end(std::size_t place, Record::Kind reason) {
  const Held held = held_[place];
  held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(place));
  Record& ended = record(reason);
  ended.fence = held.grant.fence;
  ended.lease = held.grant.lease;
  if (reason == Record::Kind::changed) return;
  lost_[held.token + held.grant.path] = {std::string{name_of(reason)}, held.grant.fence};
  const bool is_last = std::none_of(
      held_.begin(), held_.end(), [&held](const Held& other) { return other.token == held.token; });
  if (!is_last) return;
  leases_.erase(held.token);
  ended_[held.token] = name_of(reason);
  if (reason == Record::Kind::released) return;
  for (std::size_t i = 0; i < waiting_.size();) {
    const CallPointer call = waiting_[i];
    if (call->operation.token != held.token) {
      ++i;
      continue;
    }
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    answer_ended(call);
  }
}

void PretendServer::answer_ended(const CallPointer& call) {
  const std::string& reason = ended_.at(call->operation.token);
  answer(call, 410, json::serialize(json::object{{"error", "lease_ended"}, {"reason", reason}}));
}

void PretendServer::end_all(const std::string& token, Record::Kind reason) {
  for (std::size_t place = 0; place < held_.size();) {
    if (held_[place].token == token) {
      end(place, reason);
    } else {
      ++place;
    }
  }
  leases_.erase(token);
}

/// Grants to who waits, first come, first served.
void PretendServer::settle() {
  for (std::size_t place = 0; place < waiting_.size();) {
    const CallPointer call = waiting_[place];
    if (!is_free(call->operation, place)) {
      ++place;
      continue;
    }
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(place));
    const std::string& token = call->operation.token;
    for (std::size_t i = 0; i < held_.size(); ++i) {  // a change of mode
      if (held_[i].token != token || held_[i].grant.path != call->operation.path()) continue;
      end(i, Record::Kind::changed);
      break;
    }
    answer_granted(call, grant(call->operation, token), 201);
    place = 0;
  }
}

void PretendServer::answer_granted(const CallPointer& call, const Held& held, unsigned status) {
  json::object body = describe(held.grant, leases_.at(held.token).ttl_ms);
  body["token"] = held.token;
  if (goes_wrong(Wrong::other_fence)) body["fence"] = held.grant.fence + 1;
  if (goes_wrong(Wrong::other_mode)) {
    body["mode"] = held.grant.shape.is_shared ? "exclusive" : "shared";
  }
  if (goes_wrong(Wrong::shorter_ttl)) body["ttl_ms"] = 1;
  answer(call, status, json::serialize(body));
}

void PretendServer::canhaz(const CallPointer& call) {
  const Operation& operation = call->operation;
  bool is_refused = !is_free(operation, waiting_.size());
  std::string locked_by;
  if (const Held* const held = covering(operation.path())) {
    locked_by = held->grant.owner;
  } else {
    for (const CallPointer& waiter : waiting_) {
      if (waits_against(waiter->operation, operation)) locked_by = waiter->operation.owner;
    }
  }
  if (!is_refused && !held_.empty() && goes_wrong(Wrong::baseless_refusal)) {
    is_refused = true;
    locked_by = held_.front().grant.owner;
  }
  if (is_refused) {
    return answer(call, 200, json::serialize(json::object{{"ok", false}, {"lockedBy", locked_by}}));
  }
  const std::string token = choices_.token();
  grant(operation, token);
  settle();
  answer(call, 200, json::serialize(json::object{{"ok", true}, {"token", token}}));
}

void PretendServer::acquire(const CallPointer& call) {
  const Operation& operation = call->operation;
  const std::string& token = operation.token;
  if (const auto ended = ended_.find(token); ended != ended_.end() && ended->second != "released") {
    return answer_ended(call);
  }
  if (wrong_ == Wrong::unrenewed_refusal) {
    ++wrongs_;
  } else if (leases_.contains(token)) {
    keep(token);
  }
  if (const Held* const held = find(token, operation.path())) {
    if (held->grant.shape == operation.wanted.front().shape) {
      if (goes_wrong(Wrong::second_grant)) {
        return answer_granted(call, grant(operation, token), 201);
      }
      keep(token);
      return answer_granted(call, *held, 200);
    }
  }
  if (is_free(operation, waiting_.size())) {
    if (operation.wait_ms == 0 && goes_wrong(Wrong::empty_refusal)) return refuse(call);
    for (std::size_t place = 0; place < held_.size(); ++place) {
      if (held_[place].token != token || held_[place].grant.path != operation.path()) continue;
      end(place, Record::Kind::changed);
      break;
    }
    const Held held = grant(operation, token);
    settle();
    return answer_granted(call, held, 201);
  }
  if (operation.wait_ms == 0) return refuse(call);
  if (!call->is_left) wait(call);
}

void PretendServer::wait(const CallPointer& call) {
  waiting_.push_back(call);
  Nanoseconds patience = call->operation.wait_ms * millisecond;
  if (goes_wrong(Wrong::early_refusal)) patience /= 2;
  at(now_ + patience, [this, call] {
    const auto waits = std::find(waiting_.begin(), waiting_.end(), call);
    if (waits == waiting_.end()) return;
    refuse(call);
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), call));
    settle();
  });
}

void PretendServer::refuse(const CallPointer& call) {
  json::array blocked_by;
  for (const Held& held : held_) {
    if (!is_held_against(call->operation, held)) continue;
    if (goes_wrong(Wrong::left_out_blocker)) continue;
    blocked_by.push_back(describe(held.grant, leases_[held.token].ttl_ms));
  }
  const auto self = std::find(waiting_.begin(), waiting_.end(), call);
  for (auto waiter = waiting_.begin(); waiter != self; ++waiter) {
    if (!waits_against((*waiter)->operation, call->operation)) continue;
    blocked_by.push_back(describe_waiter((*waiter)->operation));
  }
  answer(call, 423, json::serialize(json::object{{"error", "locked"}, {"blocked_by", blocked_by}}));
}

void PretendServer::release(const CallPointer& call) {
  const Operation& operation = call->operation;
  const bool by_nowant = operation.kind == Kind::nowant;
  const std::string key = operation.token + operation.path();
  Held* const held = find(operation.token, operation.path());
  if (held != nullptr) {
    const Fence fence = held->grant.fence;
    if (!goes_wrong(Wrong::forgotten_end)) {
      end(static_cast<std::size_t>(held - held_.data()), Record::Kind::released);
    }
    settle();
    const json::object body =
        by_nowant ? json::object{{"ok", true}} : json::object{{"released", true}, {"fence", fence}};
    return answer(call, 200, json::serialize(body));
  }
  if (by_nowant) return answer(call, 200, R"({"ok": false})");
  const auto lost = lost_.find(key);
  if (lost == lost_.end()) return answer(call, 404, R"({"error": "not_held"})");
  const auto& [reason, fence] = lost->second;
  const bool is_released = reason == "released";
  const json::object body = is_released
                                ? json::object{{"released", true}, {"fence", fence}}
                                : json::object{{"error", "lease_ended"}, {"reason", reason}};
  answer(call, is_released ? 200 : 410, json::serialize(body));
}

void PretendServer::release_all(const CallPointer& call) {
  const std::string& token = call->operation.token;
  const auto ended = ended_.find(token);
  if (!leases_.contains(token) && ended != ended_.end() && ended->second != "released") {
    return answer_ended(call);
  }
  if (!leases_.contains(token)) {
    return ended == ended_.end() ? answer(call, 404, R"({"error": "no_such_lease"})")
                                 : answer(call, 200, R"({"released": 0})");
  }
  const auto count = std::count_if(held_.begin(), held_.end(),
                                   [&token](const Held& held) { return held.token == token; });
  end_all(token, Record::Kind::released);
  settle();
  answer(call, 200, json::serialize(json::object{{"released", count}}));
}

void PretendServer::renew(const CallPointer& call) {
  const std::string& token = call->operation.token;
  const auto lease = leases_.find(token);
  const auto ended = ended_.find(token);
  if (lease == leases_.end()) {
    if (ended == ended_.end()) return answer(call, 404, R"({"error": "no_such_lease"})");
    if (goes_wrong(Wrong::other_lease_renewed)) {
      return answer(call, 200, R"({"ttl_ms": 300, "locks": 1})");
    }
    return answer_ended(call);
  }
  if (goes_wrong(Wrong::living_lease_ended)) {
    return answer(call, 410, R"({"error": "lease_ended", "reason": "expired"})");
  }
  keep(token);
  const auto count = std::count_if(held_.begin(), held_.end(),
                                   [&token](const Held& held) { return held.token == token; });
  answer(call, 200,
         json::serialize(json::object{{"ttl_ms", lease->second.ttl_ms}, {"locks", count}}));
}

void PretendServer::force(const CallPointer& call) {
  std::size_t count = 0;
  for (std::size_t place = 0; place < held_.size();) {
    if (held_[place].grant.path != call->operation.filter.path) {
      ++place;
      continue;
    }
    end(place, Record::Kind::forced);
    ++count;
    const bool is_another =
        place < held_.size() && held_[place].grant.path != call->operation.filter.path;
    if (is_another && goes_wrong(Wrong::force_untold)) {
      end(place, Record::Kind::forced);
    }
  }
  settle();
  if (count == 0) return answer(call, 404, R"({"error": "not_held"})");
  answer(call, 200, json::serialize(json::object{{"ended", count}}));
}

void PretendServer::dohaz(const CallPointer& call) {
  const std::string& path = call->operation.path();
  const Held* held = covering(path);
  if (held != nullptr && goes_wrong(Wrong::blind_dohaz)) held = nullptr;
  if (held != nullptr && wrong_ == Wrong::wrong_witness) {
    for (const Held& other : held_) {
      if (&other == held || !blocks(other.grant.path, other.grant.shape, path)) continue;
      if (goes_wrong(Wrong::wrong_witness)) held = &other;
    }
  }
  json::object body{{"lockedBy", nullptr}};
  if (held != nullptr) body["lockedBy"] = held->grant.owner;
  answer(call, 200, json::serialize(body));
}

void PretendServer::look(const CallPointer& call) {
  const std::string& path = call->operation.path();
  json::array holders;
  json::array covered_by;
  for (const Held& held : held_) {
    if (!clash(held.grant.path, held.grant.shape, path, {})) continue;
    if (goes_wrong(Wrong::blind_look)) continue;
    (held.grant.path == path ? holders : covered_by)
        .push_back(describe(held.grant, leases_[held.token].ttl_ms));
  }
  json::array waiters;
  bool is_awaited = false;
  for (const CallPointer& waiter : waiting_) {
    const Wanted& its = waiter->operation.wanted.front();
    is_awaited = is_awaited || clash(its.path, its.shape, path, {});
    if (its.path == path) waiters.push_back(describe_waiter(waiter->operation));
  }
  json::object body{{"path", path}};
  body["free"] = holders.empty() && covered_by.empty() && !is_awaited;
  body["waiter_count"] = waiters.size();
  body["holders"] = std::move(holders);
  body["covered_by"] = std::move(covered_by);
  body["waiters"] = std::move(waiters);
  answer(call, 200, json::serialize(body));
}

/// Killed and started again: who waits is not remembered, and leases have their whole TTL again.
void PretendServer::restart() {
  ++life_;
  evidence_.events.push_back({ServerEvent::Kind::killed, now_, 0});
  for (const CallPointer& call : std::exchange(waiting_, {})) lose(call);
  for (const auto& [token, lease] : leases_) keep(token);
  evidence_.events.push_back({ServerEvent::Kind::started, now_ + 1, evidence_.journal.size()});
  // The end of the run is quiet, so that leases must end.
  if (now_ < 5'000 * millisecond) at(now_ + 3'000 * millisecond, [this] { restart(); });
}

}  // namespace locker::histories
