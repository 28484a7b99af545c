// Whole answers and error bodies: a message and its stream that say the same, or one error.
#include "dataplane/wire/convert/aggregate.hpp"
#include "dataplane/wire/convert/answer_to_anthropic.hpp"
#include "dataplane/wire/convert/answer_to_openai.hpp"
#include "dataplane/wire/convert/error_to_anthropic.hpp"
#include "dataplane/wire/convert/expand.hpp"
#include "dataplane/wire/openai_error.hpp"
#include "tests/fuzz/convert_check.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/support/event_sequence.hpp"

namespace balancer::fuzz {
namespace {

namespace convert = wire::convert;

// A message as a stream, in order, and put together again.
void check_expanded(std::string_view message, std::string_view bytes) {
    std::string stream;
    if (!convert::expand_message(converting_reader(), message, stream)) {
        BALANCER_CHECK(stream.empty());
        return;
    }
    if (is_for_full_parser(bytes)) {
        tests::SequenceCheck check;
        BALANCER_CHECK(check.check(stream).empty() && check.is_whole());
    }
    convert::Aggregate whole(converting_reader());
    whole.feed(stream);
    whole.end();
    BALANCER_CHECK(whole.state().finished);
    std::string again;
    whole.append_message(again);
    check_well_formed(again, bytes);
}

void check_error(unsigned status, std::string_view bytes) {
    wire::LocalError error = convert::error_to_anthropic(converting_reader(), status, bytes);
    BALANCER_CHECK(
        error.status >= 400 && error.status < 600 && !error.type.empty() && !error.message.empty()
    );
    std::string out;
    wire::append_openai_error(out, wire::anthropic_error(status, bytes), "bal_1");
    check_well_formed(out, bytes);
}

}  // namespace

void convert_answers(std::string_view bytes) {
    std::string message;
    if (convert::answer_to_anthropic(converting_reader(), bytes, {"msg_1", "m"}, message)) {
        check_well_formed(message, bytes);
        std::string stream;
        BALANCER_CHECK(convert::expand_message(converting_reader(), message, stream).has_value());
        check_expanded(message, bytes);
        std::string back;
        BALANCER_CHECK(
            convert::answer_to_openai(converting_reader(), message, {"c", "m"}, back).has_value()
        );
        check_well_formed(back, bytes);
    } else {
        BALANCER_CHECK(message.empty());
    }
    std::string completion;
    if (convert::answer_to_openai(converting_reader(), bytes, {"c", "m"}, completion)) {
        check_well_formed(completion, bytes);
    } else {
        BALANCER_CHECK(completion.empty());
    }
    check_expanded(bytes, bytes);
    check_error(400, bytes);
    check_error(200, bytes);
}

}  // namespace balancer::fuzz
