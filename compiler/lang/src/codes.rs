//! The compiler's codes by name. Their titles are in `tally-source`, their pages in
//! `docs/diagnostics`.

use tally_source::Code;

pub(crate) const SYNTAX: Code = Code(101);
pub(crate) const NEEDS_QUOTES: Code = Code(102);
pub(crate) const KEYWORD: Code = Code(103);
pub(crate) const EQUALS: Code = Code(104);
pub(crate) const BRACKETS: Code = Code(105);
pub(crate) const BRACE_LINE: Code = Code(106);
pub(crate) const UNCLOSED_BRACE: Code = Code(107);
pub(crate) const STRAY_BRACE: Code = Code(108);
pub(crate) const COMMENT: Code = Code(109);
pub(crate) const TWO_NODES: Code = Code(110);
pub(crate) const STRING_LINES: Code = Code(111);
pub(crate) const UNCLOSED_STRING: Code = Code(112);
pub(crate) const ESCAPE: Code = Code(113);
pub(crate) const COLON: Code = Code(114);
pub(crate) const FOREIGN_QUOTES: Code = Code(115);
pub(crate) const COMMENTED_ADDRESS: Code = Code(116);
pub(crate) const TOO_DEEP: Code = Code(117);
pub(crate) const BAD_CHARACTER: Code = Code(118);
pub(crate) const TOO_LARGE: Code = Code(119);
pub(crate) const MISSING_BRACE: Code = Code(120);

pub(crate) const UNKNOWN: Code = Code(201);
pub(crate) const NO_NAME: Code = Code(202);
pub(crate) const NO_VALUE: Code = Code(203);
pub(crate) const TOO_MANY: Code = Code(204);
pub(crate) const TWICE: Code = Code(205);
pub(crate) const FORM: Code = Code(206);
pub(crate) const MISPLACED: Code = Code(207);
pub(crate) const NAME: Code = Code(208);
pub(crate) const PAIR: Code = Code(209);
pub(crate) const SELECTOR: Code = Code(210);
pub(crate) const ANNOTATION: Code = Code(211);
pub(crate) const MOUNT_FORM: Code = Code(212);
pub(crate) const MISSING_FIELD: Code = Code(213);
pub(crate) const ONE_WORD: Code = Code(214);

pub(crate) const TYPE: Code = Code(301);
pub(crate) const UNIT: Code = Code(302);
pub(crate) const WORD: Code = Code(303);
pub(crate) const YES_NO: Code = Code(304);
pub(crate) const RANGE: Code = Code(305);
pub(crate) const IMAGE: Code = Code(306);
pub(crate) const PATH: Code = Code(307);
pub(crate) const ADDRESS: Code = Code(308);
pub(crate) const TEXT: Code = Code(309);

pub(crate) const NOT_FOUND: Code = Code(401);
pub(crate) const OTHER_KIND: Code = Code(402);
pub(crate) const NO_MATCH: Code = Code(403);
pub(crate) const NO_PORT: Code = Code(404);
pub(crate) const WHICH_PORT: Code = Code(405);
pub(crate) const NO_FILE: Code = Code(406);
pub(crate) const OUTSIDE: Code = Code(407);
pub(crate) const UNREADABLE: Code = Code(408);

pub(crate) const SAME_NAME: Code = Code(501);
pub(crate) const CLUSTERS: Code = Code(502);
pub(crate) const CYCLE: Code = Code(503);
pub(crate) const NEVER_ENDS: Code = Code(504);
pub(crate) const HOST_PORT: Code = Code(505);
pub(crate) const UNUSED_VOLUME: Code = Code(506);
pub(crate) const ONE_HOST: Code = Code(507);
pub(crate) const PROBE: Code = Code(508);
pub(crate) const SAME_PATH: Code = Code(509);
pub(crate) const CONTRADICTION: Code = Code(510);
pub(crate) const BARE_TCP: Code = Code(511);
pub(crate) const CONTENTS: Code = Code(512);
pub(crate) const BUDGET: Code = Code(513);
pub(crate) const SECRET_PLACE: Code = Code(514);
pub(crate) const UNUSED_SECRET: Code = Code(515);

pub(crate) const OTHER_TOOL: Code = Code(601);
pub(crate) const OTHER_NAME: Code = Code(602);
pub(crate) const NOT_DONE: Code = Code(603);

pub(crate) const LATER_KIND: Code = Code(701);
pub(crate) const LATER_FIELD: Code = Code(702);
pub(crate) const LATER_TEXT: Code = Code(703);
pub(crate) const LATER_CALL: Code = Code(704);
