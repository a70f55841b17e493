"""Which phrases of a sentence are statements of their own, and which clauses must stay whole.

In: a tree. Out: the heads of those phrases, and of what is left out elsewhere because it is said there. What narrows a claim
(a negation, a quantity, a superlative, a report) is found here. Knows nothing of how a statement reads.
"""

from collections.abc import Set

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.grammar.heads import is_date
from flame_ray.rewards.factuality.decompose.grammar.phrases import comma_before, extreme, is_examples
from flame_ray.rewards.factuality.decompose.grammar.tree import Tree

NARROWING = frozenset(vocabulary("no not n't n’t never hardly rarely seldom only without few neither nor none nobody nothing"))
QUANTIFIERS = frozenset(vocabulary("no all every each few most only any neither none nobody nothing"))
SUBJECTS = ("nsubj", "nsubjpass", "csubj", "csubjpass")
FACTIVE = frozenset(vocabulary("because since although though while whereas as"))
FINITE = ("VBD", "VBZ", "VBP")
PLACING = frozenset(vocabulary("in at from near to of"))
GIVING = frozenset(vocabulary("give award grant offer pay teach show tell ask deny send allow owe name elect appoint call"))
LIKE_PREPOSITIONS = frozenset(
    vocabulary("starting beginning culminating following regarding concerning owing ranging compared given based depending")
)
RELATIVE = ("WDT", "WP")


class Outline:
    """`spoken`: phrases that are said as statements of their own, and left out of others, with their `and` (`apart`)."""

    def __init__(self, tree: Tree):
        self.tree = tree
        self.spoken = [index for index in range(len(tree.words)) if self._is_apart(index)]
        joined = [tree.words[index].head for index in self.spoken if tree.relation(index) == "conj"]
        self.apart = frozenset([*self.spoken, *(link for head in joined for link in tree.under(head, "cc"))])

    def clause_of(self, index: int) -> int:
        """The head of the statement to which a word belongs."""
        return next((each for each in [index, *self.tree.above(index)] if each in self.spoken), self.tree.root)

    def own_subject(self, verb: int) -> int | None:
        return self.tree.one(verb, *SUBJECTS)

    def indefinite(self, noun: int) -> bool:
        return any(self.tree.lower(child) in ("a", "an") for child in self.tree.under(noun, "det"))

    def first_member(self, noun: int) -> int:
        while self.tree.relation(noun) == "conj":
            noun = self.tree.words[noun].head
        return noun

    def predicative(self, noun: int) -> bool:
        """Whether a noun is what its subject is said to be: `X is a ...`"""
        first = self.first_member(noun)
        return self.tree.relation(first) in ("attr", "appos") and self.indefinite(first)

    def finite(self, verb: int) -> str:
        """The tag that tells the tense of a clause, if it has one."""
        group = [verb, *self.tree.under(verb, "aux", "auxpass")]
        return next((self.tree.tag(each) for each in sorted(group) if self.tree.tag(each) in FINITE), "")

    def narrowed(self, verb: int, but: Set[int]) -> bool:
        """Whether something in the clause narrows its claim, so that no part of it can be left out."""
        tree, own = self.tree, self.own_subject(verb)
        below = tree.subtree(verb, but)
        counted = [] if own is None else [tree.lower(each) for each in (own, *tree.under(own, "det", "amod"))]
        singled = any(extreme(tree, each) for each in below if tree.relation(each) in ("attr", "dobj", "pobj"))
        reports = bool(tree.under(verb, "ccomp", "parataxis"))
        return singled or reports or any(self._narrows(each) for each in below) or bool(QUANTIFIERS & set(counted))

    def _narrows(self, index: int) -> bool:
        a_few = self.tree.lower(index) == "few" and index > 0 and self.tree.lower(index - 1) == "a"
        return self.tree.lower(index) in NARROWING and not a_few

    def odd(self, verb: int) -> bool:
        """Whether the clause holds one that hangs on nothing: a relative pronoun or a finite verb where none can be."""
        tree = self.tree
        loose = [each for each in tree.under(verb, "advcl", "dep", "conj", "parataxis") if each not in self.apart]
        finite = [each for each in loose if tree.tag(each) in FINITE and not tree.under(each, "mark", "advmod")]
        if tree.under(verb, "auxpass") and tree.words[verb].lemma not in GIVING and tree.under(verb, "dobj"):
            return True  # `is bordered by Chile to the north, Brazil to the east`
        if any(tree.tag(each) == "NNP" and not is_date(tree.words[each].text) for each in tree.under(verb, "npadvmod")):
            return True
        preps = [prep for prep in tree.under(verb, "prep") if prep not in self.apart]
        if any(self._paired(prep) for prep in preps):
            return True
        if sum(tree.lower(prep) == "as" for prep in preps) > 1:  # `stars Ada as a pilot and Bo as a teacher`
            return True
        near = [each for prep in preps for each in tree.subtree(prep, self.apart)[:4]]
        return bool(finite) or any(tree.tag(each) in RELATIVE and tree.lower(each) != "that" for each in near)

    def _paired(self, prep: int) -> bool:
        """`played a king in Ran and a fool in Ikiru`: what follows `and` has a phrase of the same kind, so it is no place."""
        tree, noun = self.tree, self.tree.one(prep, "pobj")
        while noun is not None and (noun := tree.one(noun, "conj")) is not None:
            if any(tree.lower(each) == tree.lower(prep) for each in tree.under(noun, "prep")):
                return True
        return False

    def strange(self) -> bool:
        """Whether the parser did not understand the sentence: no verb with a subject, an `and` that joins nothing ..."""
        tree, root = self.tree, self.tree.root
        if not tree.tag(root).startswith(("VB", "MD")) or not (self.own_subject(root) is not None or tree.under(root, "expl")):
            return True
        links = [
            each
            for each, word in enumerate(tree.words)
            if word.relation == "cc" and each > 0 and tree.relation(word.head) != "prep"
        ]
        loose = any(not [each for each in tree.under(tree.words[link].head, "conj", "twin") if each > link] for link in links)
        verbs = [each for each, word in enumerate(tree.words) if word.relation == "conj" and tree.tag(each) in ("VBZ", "VBP")]
        if any(self.own_subject(each) is None and tree.tag(each - 1).startswith("NN") for each in verbs):
            return True  # `in Hindi, Tamil, and Kannada films`
        return loose or any(word.relation == "dobj" and tree.tag(word.head).startswith("NN") for word in tree.words)

    def cleft(self, verb: int) -> bool:
        """`it was his love of books that led him there`: `it` means nothing before."""
        tree, own = self.tree, self.own_subject(verb)
        if own is None or tree.lower(own) != "it" or tree.words[verb].lemma not in ("be", "seem", "appear", "take"):
            return False
        told = [clause for noun in tree.under(verb, "attr", "acomp") for clause in tree.under(noun, "relcl", "ccomp", "xcomp")]
        return bool(told or tree.under(verb, "ccomp", "xcomp", "advcl", "csubj"))

    def scope(self, verb: int) -> list[int]:
        """Phrases before the subject that hold for all of a sentence: `In France, the religion is ... and the language ...`"""
        tree, own, first = self.tree, self.own_subject(verb), verb
        while tree.relation(first) == "conj":
            first = tree.words[first].head
        leading = self.own_subject(first)
        if own is None or leading is None:
            return []
        named = tree.tag(own).startswith("NNP") or tree.lower(own) in ("he", "she") or tree.under(own, "poss")
        return [] if named else [each for each in tree.under(first, "prep") if each < leading and each not in self.apart]

    # --- what stands apart

    def _is_apart(self, index: int) -> bool:
        tree, relation, head = self.tree, self.tree.relation(index), self.tree.words[index].head
        if any(tree.relation(each) in ("ccomp", "csubj", "pcomp", "xcomp") for each in tree.above(index)):
            return False
        if relation == "conj":
            return self._joined_clause(index)
        if relation == "advcl":
            return self._adverbial(index)
        if index < head or relation not in ("appos", "relcl", "acl"):
            return False
        if relation == "appos":
            return self._described(index)
        loose = comma_before(tree, index) or self.predicative(head) or tree.tag(head).startswith("NNP")
        return loose and (self._relative(index) if relation == "relcl" else tree.tag(index) in ("VBN", "VBG"))

    def _joined_clause(self, index: int) -> bool:
        """Whether `and` or `but` joins a verb to one that is said, and it shares no negation with that one."""
        tree, head = self.tree, self.tree.words[index].head
        if not (tree.tag(index).startswith("VB") and tree.tag(head).startswith("VB")):
            return False
        links = {tree.lower(cc) for cc in tree.under(head, "cc", "preconj")}
        alone = self.own_subject(index) is not None or tree.tag(index) in FINITE or tree.under(index, "aux", "auxpass")
        if links & {"or", "nor", "either", "neither"} or (not alone and self.narrowed(head, {index})):
            return False
        return head == tree.root or self._is_apart(head)

    def _adverbial(self, index: int) -> bool:
        tree = self.tree
        mark = next((each for each in tree.under(index, "mark", "advmod") if each < index), None)
        if tree.relation(tree.words[index].head) in ("amod", "acomp") or tree.lower(index) in LIKE_PREPOSITIONS:
            return False
        if self.own_subject(index) is not None:
            word = tree.lower(mark) if mark is not None else ""
            return word in FACTIVE and (word != "as" or comma_before(tree, index)) and bool(self.finite(index))
        loose = comma_before(tree, index) or index < tree.words[index].head
        return mark is None and tree.tag(index) in ("VBN", "VBG") and loose

    def _described(self, noun: int) -> bool:
        """Whether an apposition says what its noun is: `Ada, a poet`, `the firm, Acme`, `in Lima, Peru`."""
        tree, head = self.tree, self.tree.words[noun].head
        if not (tree.tag(noun).startswith("NN") and tree.tag(head).startswith("NN") and comma_before(tree, noun)):
            return False
        if any(is_examples(tree, each) for each in tree.above(noun)):
            return False
        determined = bool(tree.under(noun, "det", "poss"))
        bracketed = tree.words[tree.subtree(noun)[0] - 1].text == "("
        if self.bare(noun):
            return self._placed(noun) and not bracketed
        return determined or not (bracketed or tree.tag(head) == "NNS")

    def bare(self, noun: int) -> bool:
        """Whether an apposition and its noun are both names: one of them may be where the other is, or they are a list."""
        tree, head = self.tree, self.tree.words[noun].head
        return tree.tag(noun) == tree.tag(head) == "NNP" and not tree.under(noun, "det", "poss")

    def _placed(self, noun: int) -> bool:
        tree, first = self.tree, noun
        while tree.relation(first) == "appos":
            first = tree.words[first].head
        prep = tree.words[first].head
        place = tree.relation(first) == "pobj" and tree.lower(prep) in PLACING
        of_name = tree.lower(prep) == "of" and tree.tag(tree.words[prep].head).startswith("NNP")
        return place and not of_name and all(tree.tag(each) in ("NNP", ",") for each in tree.subtree(noun))

    def _relative(self, verb: int) -> bool:
        """Whether a relative clause can be told with its noun in the pronoun's place."""
        tree, noun = self.tree, self.tree.words[verb].head
        pronoun = next((each for each in tree.subtree(verb) if tree.tag(each) in (*RELATIVE, "WP$", "WRB")), None)
        if pronoun is None:
            return False
        head, subject = tree.words[pronoun].head, self.own_subject(verb)
        if tree.tag(pronoun) == "WP$":
            return head == subject
        if tree.tag(pronoun) == "WRB":
            return (
                head == verb and subject is not None and tree.lower(pronoun) in ("where", "when") and comma_before(tree, verb)
            )
        first = tree.lower(min([verb, *tree.under(verb, "aux", "auxpass")]))
        agrees = first not in ("are", "were", "have") or tree.tag(noun) in ("NNS", "NNPS") or bool(tree.under(noun, "conj"))
        if head != verb or pronoun == subject:
            return head == verb and agrees
        told = tree.relation(pronoun) == "dobj" and subject is not None and comma_before(tree, verb)
        return told and not tree.under(verb, "dobj")[1:] and not self.narrowed(verb, frozenset()) and not self.cleft(verb)
