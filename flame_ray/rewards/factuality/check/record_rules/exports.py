"""A rule on what a country exports."""

import re
from collections.abc import Mapping

from flame_ray.rewards.factuality.check.record_rules.statements import CLAUSE, values_of
from flame_ray.rewards.factuality.check.records import Record

# What a statement calls a product, and the words for it, or for what holds it, in a record.
PRODUCTS: Mapping[str, str] = {
    "aluminum": "alumin|bauxite",
    "automobiles": "cars|vehicle|auto|motor",
    "bananas": "banana|fruit",
    "cars": "cars|vehicle|auto|motor",
    "coal": "coal",
    "cocoa": "cocoa|chocolate",
    "coffee": "coffee",
    "copper": "copper",
    "cotton": "cotton|textile",
    "diamonds": "diamond|precious|gem",
    "electronics": "electr|circuit|comput|phone|broadcast|semicond|machin|wire|television|instrument|connector|control",
    "fish": "fish|seafood|shrimp|tuna|shell",
    "furniture": "furniture|wood|seats",
    "gold": "gold|precious|jewel",
    "iron": "iron|steel|metal",
    "leather": "leather|hides|skins|shoes|footwear",
    "machinery": "machin|equipment|engine|electr|vehicle|motor|parts|turbine|pump|instrument|comput",
    "natural gas": "gas",
    "oil": "oil|petrol|hydrocarbon|fuel",
    "palm oil": "palm",
    "petroleum": "oil|petrol|hydrocarbon|fuel",
    "pharmaceuticals": "pharma|medic|vaccine|drug",
    "rice": "rice",
    "rubber": "rubber|tires",
    "silk": "silk|textile|garment",
    "silver": "silver|precious|jewel",
    "soybeans": "soy|oil ?seed",
    "spices": "spice|nutmeg|pepper|vanilla|clove|cinnamon|saffron|ginger|cardamon|scented",
    "steel": "steel|iron|metal",
    "sugar": "sugar",
    "tea": r"\btea\b|\bmate\b",
    "textiles": "textile|garment|cloth|apparel|fabric|carpet|cotton|wool|footwear|suits|shirts|sweaters|fiber|yarn|linen"
    "|jute|silk",
    "timber": "timber|wood|lumber|forest|log",
    "tobacco": "tobacco|cigar",
    "uranium": "uranium|radioactive",
    "wheat": "wheat|cereal|grain|flour",
    "wine": "wine|grape|alcohol|beverage",
}
PRODUCT = rf"(?:{'|'.join(sorted(PRODUCTS, key=len, reverse=True))})"
ITEM = re.compile(rf"(?:the )?({PRODUCT})(?=$| and\b)")
EXPORTS = re.compile(
    r"\bexports?(?: (?:of|in) [^,;]+?)?(?: (?:are|is|include|includes|including))+ (?:(?:goods|products) such as )?"
    r"(?P<what>.+)"
)
LISTED = re.compile(r", (?:and )?| and ")
EXPORT_FIELDS = ("Exports - commodities", "Exports - commodities, note", "Economic overview", "Background")


def makes_up_an_export(statement: str, record: Record) -> bool:
    """Whether a product is called an export that is none of the main ones, and that no overview names."""
    exports = EXPORTS.search(statement)
    if exports is None or EXPORT_FIELDS[0] not in record.fields or re.search(r"\bindustr|\bimport", statement):
        return False
    items = [ITEM.fullmatch(each) for each in LISTED.split(CLAUSE.split(exports["what"])[0])]
    told = values_of(record, EXPORT_FIELDS)
    return any(re.search(PRODUCTS[each[1]], told, re.IGNORECASE) is None for each in items if each)
