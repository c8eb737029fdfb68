"""The grammar of scalar expressions in a Cosmos DB query: a recursive descent over the tokens of one query."""

from tests.servers.cosmos_errors import CosmosError, bad_request
from tests.servers.cosmos_expressions import (
    Aggregate,
    Arithmetic,
    Array,
    Call,
    Comparison,
    Expression,
    Like,
    Literal,
    Logical,
    Not,
    Parameter,
    Property,
    Root,
)
from tests.servers.cosmos_functions import AGGREGATES, FUNCTIONS
from tests.servers.cosmos_lexer import END, Token, tokens_of
from tests.servers.cosmos_values import UNDEFINED

CONSTANTS = {"TRUE": True, "FALSE": False, "NULL": None, "UNDEFINED": UNDEFINED}
COMPARISONS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
UNKNOWN = {"CASE", "CAST", "CONVERT", "CROSS", "ESCAPE", "EXISTS", "HAVING", "JOIN", "OVER"}
"""Words of the language that a query here may not contain."""


class Grammar:
    """Reads expressions off the tokens; a query's clauses are read by whoever builds on it."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens_of(text)
        unknown = [token.text for token in self._tokens if token.kind == "keyword" and token.text in UNKNOWN]
        if unknown:
            raise bad_request(f"this server knows no {unknown[0]} in a query")
        self._position = 0
        self._alias = self._alias_ahead()
        self._aggregates = False

    def _alias_ahead(self) -> str | None:
        """The alias, which the SELECT clause uses before the FROM clause gives it."""
        keyword = Token("keyword", "FROM")
        if keyword not in self._tokens:
            return None
        after = self._tokens.index(keyword) + 1
        following = [token for token in self._tokens[after : after + 3] if token.text != "AS"]
        return following[1].text if len(following) > 1 and following[1].kind == "word" else following[0].text

    def _list(self) -> tuple[Expression, ...]:
        items = [self._expression()]
        while self._taken(","):
            items.append(self._expression())
        return tuple(items)

    def _expression(self) -> Expression:
        operands = [self._conjunction()]
        while self._taken("OR"):
            operands.append(self._conjunction())
        return Logical(tuple(operands), decides=True) if len(operands) > 1 else operands[0]

    def _conjunction(self) -> Expression:
        operands = [self._negation()]
        while self._taken("AND"):
            operands.append(self._negation())
        return Logical(tuple(operands), decides=False) if len(operands) > 1 else operands[0]

    def _negation(self) -> Expression:
        return Not(self._negation()) if self._taken("NOT") else self._predicate()

    def _predicate(self) -> Expression:
        left = self._sum()
        if self._ahead.kind == "symbol" and self._ahead.text in COMPARISONS:
            return Comparison(COMPARISONS[self._next().text], left, self._sum())
        negated = self._taken("NOT")
        tested = self._membership(left)
        if tested is None:
            if negated:
                raise self._unexpected()
            return left
        return Not(tested) if negated else tested

    def _membership(self, left: Expression) -> Expression | None:
        if self._taken("IN"):
            self._expect("(")
            options = self._list()
            self._expect(")")
            return Logical(tuple(Comparison("=", left, option) for option in options), decides=True)
        if self._taken("BETWEEN"):
            least = self._sum()
            self._expect("AND")
            bounds = (Comparison(">=", left, least), Comparison("<=", left, self._sum()))
            return Logical(bounds, decides=False)
        return Like(left, self._sum()) if self._taken("LIKE") else None

    def _sum(self) -> Expression:
        left = self._product()
        while self._ahead.kind == "symbol" and self._ahead.text in {"+", "-"}:
            left = Arithmetic(self._next().text, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._path()
        while self._taken("*"):
            left = Arithmetic("*", left, self._path())
        return left

    def _path(self) -> Expression:
        expression = self._primary()
        while True:
            if self._taken("."):
                expression = Property(expression, self._word())
            elif self._taken("["):
                expression = Property(expression, self._index())
                self._expect("]")
            else:
                return expression

    def _index(self) -> str | int:
        token = self._next()
        if token.kind == "string" or (token.kind == "number" and isinstance(token.value, int)):
            return str(token.value) if token.kind == "string" else int(token.value)
        raise bad_request(f"Syntax error, [{token.text}] is neither a name nor an index")

    def _primary(self) -> Expression:
        token = self._next()
        if token.kind in {"number", "string"}:
            return Literal(token.value)
        if token.kind == "parameter":
            return Parameter(token.text)
        if token.kind == "keyword" and token.text in CONSTANTS:
            return Literal(CONSTANTS[token.text])
        if token.kind == "word":
            return self._call(token.text.upper()) if self._taken("(") else self._root(token.text)
        return self._bracketed(token)

    def _bracketed(self, token: Token) -> Expression:
        if token.text == "-":
            return Arithmetic("-", Literal(0), self._path())
        if token.text == "(":
            inner = self._expression()
            self._expect(")")
            return inner
        if token.text == "[":
            elements = () if self._ahead.text == "]" else self._list()
            self._expect("]")
            return Array(elements)
        raise self._unexpected(token)

    def _root(self, name: str) -> Expression:
        if name != self._alias:
            raise bad_request(f"Identifier '{name}' could not be resolved")
        return Root()

    def _call(self, name: str) -> Expression:
        arguments = () if self._ahead.text == ")" else self._list()
        self._expect(")")
        if name in AGGREGATES:
            if len(arguments) != 1:
                raise bad_request(f"{name} takes one argument")
            self._aggregates = True
            return Aggregate(name, arguments[0])
        if name not in FUNCTIONS:
            raise bad_request(f"'{name}' is not a function that this server knows")
        _, least, most = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            raise bad_request(f"{name} takes {least} to {most} arguments, not {len(arguments)}")
        return Call(name, arguments)

    @property
    def _ahead(self) -> Token:
        return self._tokens[self._position]

    def _next(self) -> Token:
        token = self._ahead
        if token is not END:
            self._position += 1
        return token

    def _taken(self, *texts: str) -> bool:
        """Step over these keywords or symbols when they come next."""
        ahead = self._tokens[self._position : self._position + len(texts)]
        if tuple(token.text for token in ahead if token.kind in {"keyword", "symbol"}) != texts:
            return False
        self._position += len(texts)
        return True

    def _expect(self, text: str) -> None:
        if not self._taken(text):
            raise self._unexpected()

    def _word(self) -> str:
        token = self._next()
        if token.kind != "word":
            raise self._unexpected(token)
        return token.text

    def _end(self) -> None:
        if self._ahead is not END:
            raise self._unexpected()

    def _unexpected(self, token: Token | None = None) -> CosmosError:
        near = (token or self._ahead).text
        return bad_request(f"Syntax error, or nothing that this test server knows, near '{near}'")
