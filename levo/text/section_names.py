"""What people call the parts of a song, in the languages that songs are written in. Data, no rules.

Names stand between commas, as they are written in lower case; accents may be left out.
"""

from __future__ import annotations

# A name, and the section it is. Names of intro, inst and outro without a length are short.
NAMES: dict[str, dict[str, str]] = {
    "verse": {
        "en": "verse",
        "zh": "主歌, 主歌段",
        "es": "verso, estrofa",
        "ja": "aメロ, bメロ, 平歌, ヴァース, バース",
        "pt": "verso, estrofe",
        "fr": "couplet, strophe",
        "de": "strophe",
        "it": "strofa",
        "ru": "куплет",
        "ko": "벌스, 절",
        "other": "zwrotka, अंतरा",
    },
    "chorus": {
        "en": "chorus",
        "zh": "副歌, 副歌段",
        "es": "coro, estribillo",
        "ja": "サビ, 大サビ, ラスサビ, 落ちサビ, コーラス",
        "pt": "refrão, coro, estribilho",
        "fr": "chœur, choeur",
        "de": "kehrreim, chor",
        "it": "ritornello, coro",
        "ru": "припев",
        "ko": "후렴, 후렴구, 코러스, 사비, 싸비",
        "other": "nakarat, приспів, điệp khúc, reff, refrein, मुखड़ा, لازمة",
    },
    "bridge": {
        "en": "bridge",
        "zh": "桥段, 橋段, 桥, 橋",
        "es": "puente",
        "ja": "cメロ, dメロ, ブリッジ",
        "pt": "ponte",
        "fr": "pont",
        "de": "brücke, bruecke",
        "it": "ponte",
        "ru": "бридж, мост",
        "ko": "브릿지, 브리지",
    },
    "intro-short": {
        "en": "intro, introduction",
        "zh": "前奏",
        "es": "introducción",
        "ja": "イントロ",
        "pt": "introdução",
        "de": "einleitung, vorspiel",
        "it": "introduzione",
        "ru": "вступление, интро",
        "ko": "인트로, 전주",
    },
    "inst-short": {
        "en": "inst, instrumental",
        "zh": "间奏, 間奏",
        "es": "interludio",
        "ja": "インスト, インストゥルメンタル",
        "pt": "interlúdio",
        "fr": "interlude instrumental",
        "de": "instrumentalteil, zwischenspiel",
        "it": "strumentale, intermezzo strumentale",
        "ru": "проигрыш, инструментал",
        "ko": "간주, 간주중",
    },
    "outro-short": {
        "en": "outro",
        "zh": "尾奏",
        "ja": "アウトロ, 後奏",
        "de": "nachspiel",
        "ru": "аутро, концовка",
        "ko": "아웃트로, 아우트로, 후주",
    },
    "silence": {
        "en": "silence",
        "zh": "静音",
        "es": "silencio",
        "ja": "無音",
        "pt": "silêncio",
        "de": "stille",
        "it": "silenzio",
        "ru": "тишина",
        "ko": "침묵",
    },
}

# Parts that the model does not have, and the one that is nearest.
FOREIGN: dict[str, str] = {
    "verse": "vers, pre-chorus, prechorus, build-up, "
    "导歌, 導歌, 预副歌, pre-coro, precoro, pre-estribillo, "
    "preestribillo, pré-refrão, pré-refrain, vorrefrain, pre-ritornello, предприпев, пред-припев, "
    "プリコーラス, サビ前, 프리코러스, 프리-코러스",
    "bridge": "middle-eight, middle-8, c-teil, 过渡段, 過渡段",
    "chorus": "高潮, "
    "post-chorus, postchorus, refrain, post-coro, postcoro, постприпев, ポストコーラス, "
    "포스트코러스, refren",
    "inst": "过门, 過門, "
    "interlude, guitar-solo, piano-solo, instrumental-break, solo-de-guitarra, solo-de-piano, "
    "solo-de-guitare, gitarrensolo, gitarren-solo, assolo, соло, гитарное-соло, "
    "ギターソロ, ソロ, 独奏, 吉他独奏, 솔로, 기타솔로",
    "intro": "prelude, prélude, preludio, prelúdio",
    "outro": "finale, 尾声, 结尾, エンディング",
}

# The same, but also words that are sung: alone on a line without any mark they are words.
FOREIGN_WORDS: dict[str, str] = {
    "verse": "rap, spoken, spoken-word, ad-lib, adlib, 说唱, 說唱, ラップ, рэп, 랩",
    "chorus": "hook",
    "inst": "solo, break, breakdown, drop",
    "outro": "end, ending, coda, кода, final, fin, fim, fine, ende, schluss, конец, финал, 終わり",
}

# What stands beside a name and does not change which section it is.
ORDERS = (
    "final, last, first, second, third, fourth, fifth, another, big, 1st, 2nd, 3rd, 4th, 5th, "
    "最后, 最後, 最后一段, 第一段, 第二段, 第三段, 第一, 第二, 第三, "
    "primer, primera, segundo, segunda, tercer, tercera, último, última, "
    "最後の, ラスト, "
    "primeiro, primeira, terceiro, terceira, "
    "premier, première, deuxième, second, seconde, troisième, dernier, dernière, "
    "erste, erster, zweite, zweiter, dritte, dritter, letzte, letzter, "
    "primo, prima, secondo, seconda, terzo, terza, ultimo, ultima, "
    "первый, второй, третий, последний, финальный, "
    "마지막, 첫번째, 두번째, 세번째"
)

# What stands between the names of several sections on one line.
AND = "and, und, y, e, et, и, plus, then, pre, post"

# Numbers behind a name.
NUMBERS = (
    "one, two, three, four, five, six, seven, eight, nine, ten, uno, una, dos, tres, cuatro, um, "
    "uma, dois, duas, un, une, deux, trois, quatre, eins, zwei, drei, vier, "
    "due, tre, quattro, один, два, три, четыре"
)

# What asks for a section once more, beside its name.
AGAIN = (
    "repeat, repeats, repeated, repite, repita, repetir, se repite, répéter, wiederholen, wiederholung, "
    "ripetere, ripeti, повтор, повторить, 重复, 重複, 反复, 繰り返し, くりかえし, リピート, 반복"
)

# Inflected names, for lines that ask for a section again.
OTHER_FORMS = {"chorus": "припева, припевы", "verse": "куплета, куплеты"}
