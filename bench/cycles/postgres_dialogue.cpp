// PostgreSQL's protocol with prepared statements, its cheapest form of request. A lock is a row
// that is inserted and deleted, or an advisory lock, which is only in memory and can be waited for.

#include <array>

#include "bench/cycles/big_endian.hpp"
#include "bench/cycles/dialogue.hpp"

namespace locker::bench {
namespace {

struct Statement {
  std::string_view text;  ///< Empty: this kind of lock does not support the verb.
  bool has_token = false;
};
/// By verb. A statement says yes by returning one row.
using Statements = std::array<Statement, 5>;

constexpr Statements of_rows = {{
    {"insert into locks values ($1, $2, now() + '60 s') on conflict do nothing", true},
    {},
    {"delete from locks where path = $1 and token = $2", true},
    {"select token from locks where path = $1"},
    {"update locks set until = now() + '60 s' where path = $1 and token = $2", true},
}};
constexpr Statements of_advisory_locks = {{
    {"select 1 where pg_try_advisory_lock(hashtextextended($1, 0))"},
    {"select 1 from pg_advisory_lock(hashtextextended($1, 0))"},
    {"select 1 where pg_advisory_unlock(hashtextextended($1, 0))"},
    {},
    {},
}};

class PostgresDialogue final : public Dialogue {
 public:
  PostgresDialogue(const Speaker& speaker, const Statements& statements)
      : statements_(statements), token_("value" + std::to_string(speaker.number)) {}

  void greet(std::string& out) override {
    const std::size_t at = out.size();
    out.append(4, '\0');
    append_big_endian<std::int32_t>(3 << 16, out);  // version 3.0
    for (const std::string_view word : {"user", "bench", "database", "bench", ""}) {
      append_text(word, out);
    }
    set_length(at, true, out);
  }
  Heard hear_greeting(std::string_view bytes, std::string& out) override {
    const Heard heard = take_message(bytes);
    if (heard.what != Heard::What::yes || has_prepared_) return heard;
    has_prepared_ = true;
    for (std::size_t i = 0; i < statements_.size(); ++i) {
      if (statements_[i].text.empty()) continue;
      const std::size_t at = begin('P', out);
      append_text(std::to_string(i), out);
      append_text(statements_[i].text, out);
      append_big_endian<std::int16_t>(0, out);
      set_length(at, true, out);
    }
    set_length(begin('S', out), true, out);
    return {Heard::What::aside, heard.size};
  }

  void ask(const Lane& lane, std::string& out) override {
    const auto number = static_cast<std::size_t>(lane.verb);
    const Statement& statement = statements_[number];
    if (statement.text.empty()) throw Unexpected{"this kind of lock cannot do that"};
    const std::size_t at = begin('B', out);
    append_text("", out);
    append_text(std::to_string(number), out);
    append_big_endian<std::int16_t>(0, out);
    append_big_endian<std::int16_t>(statement.has_token ? 2 : 1, out);
    append_parameter(lane.name, out);
    if (statement.has_token) append_parameter(token_, out);
    append_big_endian<std::int16_t>(0, out);
    set_length(at, true, out);
    const std::size_t execute = begin('E', out);
    append_text("", out);
    append_big_endian<std::int32_t>(0, out);
    set_length(execute, true, out);
    set_length(begin('S', out), true, out);
  }

  Heard hear(std::string_view bytes, Lane& lane, std::string& /*out*/) override {
    Heard heard = take_message(bytes);
    if (heard.what == Heard::What::yes && !had_row_ && lane.verb != Verb::query) {
      heard.what = Heard::What::no;
    }
    return heard;
  }

  void part(std::string& out) override { set_length(begin('X', out), true, out); }

 private:
  static std::size_t begin(char kind, std::string& out) {
    out += kind;
    out.append(4, '\0');
    return out.size() - 4;
  }
  static void append_text(std::string_view text, std::string& out) {
    out += text;
    out += '\0';
  }
  static void append_parameter(std::string_view text, std::string& out) {
    append_big_endian<std::int32_t>(static_cast<std::int32_t>(text.size()), out);
    out += text;
  }

  /// `yes`: the server is ready for the next request.
  Heard take_message(std::string_view bytes) {
    if (bytes.size() < 5) return {};
    const std::size_t size = 1 + read_big_endian<std::uint32_t>(bytes, 1);
    if (bytes.size() < size) return {};
    const std::string_view payload = bytes.substr(5, size - 5);
    switch (bytes[0]) {
      case 'E':
        throw Unexpected{"PostgreSQL: " + std::string{payload}};
      case 'C':  // such as INSERT 0 1
        had_row_ = payload.ends_with(std::string_view{" 1\0", 3});
        return {Heard::What::aside, size};
      case 'Z':
        return {Heard::What::yes, size};
      default:
        return {Heard::What::aside, size};
    }
  }

  const Statements& statements_;
  std::string token_;
  bool has_prepared_ = false;
  bool had_row_ = false;
};

}  // namespace

std::unique_ptr<Dialogue> make_postgres_dialogue(const Speaker& speaker, bool advisory) {
  return std::make_unique<PostgresDialogue>(speaker, advisory ? of_advisory_locks : of_rows);
}

}  // namespace locker::bench
