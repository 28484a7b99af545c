// The one way an expected failure travels: Result<T>, holding a value or an Error.
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <boost/system/system_error.hpp>
#include <string>
#include <utility>

namespace balancer {

using ErrorCode = boost::system::error_code;

// `code` is for programs, `detail` for people: what, where, and how to mend it. No allocation when there
// is no detail.
struct Error {
    ErrorCode code;
    std::string detail;

    // The detail, or the code's own words when there is none.
    std::string text() const { return detail.empty() ? code.message() : detail; }
};

template <class T>
using Result = boost::system::result<T, Error>;

// An error that has only words: its code is `invalid_argument`.
inline Error invalid(std::string detail) {
    return Error{make_error_code(boost::system::errc::invalid_argument), std::move(detail)};
}

// Found by argument-dependent lookup: Result<T>::value() on an error is a bug of the caller, and throws what a person can
// read.
[[noreturn]] inline void throw_exception_from_error(
    const Error& error, const boost::source_location& /*where*/
) {
    throw boost::system::system_error(error.code, error.detail);
}

}  // namespace balancer
