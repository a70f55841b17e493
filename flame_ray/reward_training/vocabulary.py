"""Lists the words that statements are rewritten with: synonyms, hypernyms, opposites, verbs and things of one kind.

Each table is text, to be read at a glance: `a/b` is a pair, and in SIBLINGS a line is a set.
"""

import re

from flame_ray.rewards.factuality.text import MONTHS

# Each word can replace the other in most statements.
SYNONYMS = """film/movie founded/established largest/biggest located/situated began/started ended/finished
    famous/well-known country/nation physician/doctor lawyer/attorney bought/purchased helped/assisted
    large/big small/little main/primary main/principal important/significant approximately/roughly
    created/made built/constructed produced/manufactured kingdom/realm wealthy/rich often/frequently
    usually/generally originally/initially afterwards/later subsequently/later eventually/finally many/numerous
    entire/whole contains/includes inhabitants/residents border/frontier annually/yearly prize/award
    defeated/beat company/firm invented/devised song/track
    car/automobile ship/vessel illness/disease spouse/partner attempted/tried required/needed
    rapidly/quickly difficult/hard ancient/old current/present nearly/almost primarily/mainly mostly/mainly
    considered/regarded killed/slain obtained/gained
    sea/ocean street/road town/settlement received/got died/perished
    begin/start big/sizeable chose/selected led/headed caused/triggered ruled/governed taught/instructed
    completed/finished gave/granted showed/demonstrated allowed/permitted stopped/ceased"""
# Each pattern, and words that mean the same or nearly so.
PHRASES = {
    r"\bknown for\b": "famous for",
    rf"\bwas born in (?!{MONTHS})(?=[A-Z])": "came from ",
    r"\bdied in\b": "passed away in",
    r"\bconsists of\b": "is made up of",
    r"\bis located in\b": "can be found in",
    r"\bwas located in\b": "stood in",
    r"\bsuch as\b": "like",
    r"\bmore than\b": "over",
    r"\bat least\b": "no fewer than",
    r"\bless than\b": "under",
    r"\btook place\b": "happened",
    r"\bas well as\b": "and also",
    r"\ba number of\b": "several",
    r"\bin order to\b": "to",
    r"\bbecause of\b": "owing to",
    r"\bis considered\b": "is seen as",
    r"\bwas awarded\b": "received",
    r"\b(?<!a )part of\b": "a part of",
    r"\bis one of\b": "is among",
    r"\bUnited States\b": "US",
    r"\bUnited Kingdom\b": "UK",
    r"\bWorld War II\b": "the Second World War",
    r"\bWorld War I\b": "the First World War",
}
# A word and its hypernym: what is true of the first is true of the second, and not the other way round.
KINDS = """novelist/writer poet/writer playwright/writer essayist/writer journalist/writer physicist/scientist
    chemist/scientist biologist/scientist astronomer/scientist geologist/scientist botanist/scientist zoologist/scientist
    painter/artist sculptor/artist illustrator/artist singer/musician guitarist/musician pianist/musician
    drummer/musician violinist/musician composer/musician rapper/musician footballer/athlete swimmer/athlete
    sprinter/athlete gymnast/athlete boxer/athlete cyclist/athlete king/ruler queen/ruler emperor/ruler empress/ruler
    sultan/ruler president/politician senator/politician congressman/politician governor/politician actor/performer
    actress/performer comedian/performer dancer/performer wife/spouse husband/spouse father/parent mother/parent
    brother/sibling sister/sibling son/child daughter/child novel/book symphony/work opera/work bird/animal
    mammal/animal reptile/animal fish/animal insect/animal amphibian/animal oak/tree pine/tree
    copper/metal iron/metal gold/metal silver/metal tin/metal aluminium/metal murdered/killed
    assassinated/killed violin/instrument piano/instrument guitar/instrument flute/instrument
    Catholic/Christian Protestant/Christian Lutheran/Christian Anglican/Christian castle/building cathedral/building
    palace/building church/building skyscraper/building tower/structure bridge/structure"""
OPPOSITES = """north/south east/west northern/southern eastern/western northeast/southwest northwest/southeast first/last
    largest/smallest highest/lowest oldest/newest oldest/youngest tallest/shortest longest/shortest richest/poorest
    heaviest/lightest fastest/slowest deepest/shallowest best/worst most/least before/after son/daughter
    father/mother brother/sister husband/wife king/queen prince/princess male/female man/woman men/women boy/girl
    more/fewer more/less won/lost wins/loses winner/loser increased/decreased increase/decrease rose/fell
    founded/dissolved built/demolished created/destroyed early/late earlier/later novel/film album/book ancient/modern
    second/third major/minor upper/lower inside/outside above/below always/never all/none many/few often/rarely
    common/rare popular/unpopular successful/unsuccessful famous/unknown legal/illegal public/private domestic/foreign
    rural/urban import/export imports/exports majority/minority maximum/minimum native/foreign permanent/temporary
    natural/artificial positive/negative solid/liquid accepted/rejected supported/opposed loved/hated praised/criticized
    allowed/banned joined/left arrived/departed appointed/dismissed bought/sold opened/closed opens/closes began/ended
    begins/ends rich/poor hot/cold warm/cold wet/dry old/young old/new long/short high/low large/small big/small
    strong/weak fast/slow hard/soft light/dark light/heavy black/white good/bad deep/shallow wide/narrow thick/thin
    safe/dangerous full/empty alive/dead friend/enemy ally/enemy ally/rival comedy/tragedy fiction/non-fiction
    left-wing/right-wing democratic/authoritarian religious/secular amateur/professional married/unmarried
    land/water carnivore/herbivore summer/winter spring/autumn guilty/innocent convicted/acquitted war/peace
    victory/defeat defeated/joined success/failure succeeded/preceded ascended/abdicated accepted/declined
    gained/lost enabled/prevented helped/hindered encouraged/discouraged attacked/defended raised/lowered
    remembered/forgotten included/excluded same/different single/multiple"""
# Past tense and infinitive, for negations such as `did not win`.
VERBS = """won/win wrote/write married/marry joined/join became/become moved/move played/play directed/direct
    founded/found led/lead published/publish studied/study invented/invent discovered/discover ruled/rule created/create
    produced/produce served/serve appeared/appear released/release defeated/defeat lived/live worked/work built/build
    signed/sign received/receive starred/star"""
# Things of one kind: what is one of them is usually none of the others.
SIBLINGS = """
American British French German Italian Spanish Russian Chinese Japanese Indian Canadian Australian Irish Scottish Dutch
    Swedish Norwegian Danish Polish Greek Turkish Egyptian Mexican Brazilian Austrian Hungarian Portuguese Belgian Swiss Korean
actor singer novelist poet painter physicist chemist biologist mathematician philosopher politician lawyer footballer boxer
    architect journalist economist sculptor explorer inventor engineer astronomer historian comedian dancer nurse priest
film novel album song play opera poem painting magazine newspaper sculpture symphony
January February March April May June July August September October November December
Monday Tuesday Wednesday Thursday Friday Saturday Sunday
Europe Asia Africa Antarctica Oceania
England France Germany Italy Spain Russia China Japan India Canada Australia Ireland Scotland Sweden Norway Denmark Poland
    Greece Turkey Egypt Mexico Brazil Austria Hungary Portugal Belgium Switzerland Argentina Peru Kenya Nigeria Iran Iraq
London Paris Berlin Rome Madrid Moscow Beijing Tokyo Vienna Chicago Boston Dublin Athens Amsterdam Warsaw Cairo
football basketball baseball tennis cricket hockey rugby golf boxing swimming volleyball
guitar piano violin drums flute trumpet cello harp
Christianity Islam Judaism Buddhism Hinduism Sikhism
Christian Muslim Jewish Buddhist Hindu
red blue green yellow purple orange brown pink
gold silver copper iron tin zinc bronze steel wood stone
mammal bird fish reptile insect amphibian plant fungus
English French German Spanish Latin Greek Arabic Hebrew Portuguese Mandarin
physics chemistry biology mathematics medicine law economics philosophy psychology geology
rock jazz classical folk blues country reggae disco
comedy drama horror fantasy thriller western
river lake mountain island desert forest volcano city village
planet star moon asteroid comet galaxy
heart liver brain lung kidney stomach
two three four five six seven eight nine ten eleven twelve
director producer editor composer screenwriter
army navy police parliament church university
poverty disease war famine
cancer pneumonia tuberculosis cholera malaria
"""


def pairs(table: str) -> list[tuple[str, str]]:
    """The pairs of a table.

    >>> pairs("film/movie big/large")
    [('film', 'movie'), ('big', 'large')]
    """
    return [(words[0], words[1]) for words in (pair.split("/") for pair in table.split())]


def families(table: str) -> list[tuple[str, ...]]:
    """The sets of a table, one per line; an indented line continues the one above."""
    return [tuple(line.split()) for line in re.sub(r"\n\s+", " ", table).splitlines() if line.strip()]
