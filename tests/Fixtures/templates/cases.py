"""Small templates that pin the language down, one construct each; recorded with these variables."""

VARIABLES = {
    "yes": True, "no": False, "nothing": None, "zero": 0, "infinite": "inf", "nan": "nan", "three": 3, "minus": -7, "half": 0.5, "big": 1e16, "tiny": 1.5e-7,
    "empty": "", "text": "Hello, World", "spaced": "  a  b c  ", "lines": "one\ntwo\n\nthree", "emoji": "a😀b👩‍👩‍👧", "quote": "it's \"so\"",
    "html": "<b>&'\"</b>", "nums": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "mixed": [1, "a", None, True, 2.5], "nested": [[1, 2], [3]],
    "record": {"b": 1, "a": [1, {"c": None}], "items": "hidden"}, "people": [
        {"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 25, "tags": []}, {"name": "Cid", "age": 30}],
}

EXPRESSIONS = r"""
yes ~ no ~ nothing
[yes, no, nothing, 1, 1.0, 'a', "it's", 'q"', [], {}, (), (1,), (1, 2)]
{'a': 1, 2: 'b', 1.5: none, true: [1], none: {}}
big, tiny, half, 1e15, 123456789012345680.0, 1e-4, 0.0001, 1e22, 5e-324, 1.7976931348623157e308, 100.0, -0.0, 1e5
1_000 + 0x1f + 0b101 + 0o17 + 1_0.5e1
7 // 2, -7 // 2, 7 // -2, 7 % 3, -7 % 3, 7 % -3, 7.5 // 2, -7.5 % 2, 7 / 2, 6 / 3, 2 ** 10, 2 ** -1, 2.0 ** 3, -2 ** 2
1 + 2 * 3 - 4 / 2 ** 2
true + true, true * 3, 5 - true, 3 * 0.1
2 ** 3 ** 2
- 3 | abs
-three, +minus, --three, - - 3, +true
'a' + 'b' * 3 + 2 * 'c', 'x' * 0, 'x' * -1, [1] * 2 + [2], (1,) + (2,)
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0 == true, 3 > 2 >= 2 != 1
'a' < 'b', 'Z' < 'a', 'ab' < 'b', '' < 'a', [1, 2] < [1, 3], (1,) < (1, 0), '￿' < '😀'
1 == '1', none == false, [] == (), {} == {}, {'a': 1, 'b': 2} == {'b': 2, 'a': 1}, [1, [2]] == [1.0, [2]]
'ell' in text, 'x' not in text, 3 in nums, 'b' in record, 1 in record, '' in '', none in mixed, 2 in (1, 2), 5 in range(3)
yes and three, no and three, zero or 'x', empty or none, not zero, not not 'a', yes or no and no
not yes == no
1 if yes else 2, 1 if no else 2, 1 if no, (1 if no) is defined, 'a' if no else 'b' if no else 'c'
nope, nope is defined, nope ~ 'x', nope == nope2, nope is sequence, nope is iterable, nope is mapping, nope in [1], not nope
nope.attribute
nope['x']
nope()
nope + 1
'a' + nope
nope < 1
1 in nope
-nope
record.b, record['b'], record.nope, record.nope is defined, record.a[1].c, record['items'], record.items is callable
record.nope.deeper
nothing.x, nothing['x'], three.x, text.nope, nums.nope
nothing.x.y
nums[0], nums[-1], nums[5], nums[-9], nums['x'], nums[0.5] is defined, nums[true]
nums.0, nested.0.1, record.a.0
text[0], text[-1], text[99], emoji[1], emoji[2], emoji | length, emoji[::-1] | length
text[1:4], text[:3], text[-3:], text[::2], text[::-1], text[4:1:-1], text[10:2], text[-99:99], text[5::-2], text[:-3:-1]
nums[1:], nums[:-1], nums[::-1], nums[5:], nums[::2], (1, 2, 3)[1:], range(10)[2:8:2] | list, nums[none:2]
emoji[1:3], emoji[:2], emoji[-1:]
nums[::0]
nums['a':]
three[1:]
nothing[1:]
nope[1:]
record[1:]
range(5) | list, range(2, 5) | list, range(5, 0, -2) | list, range(0) | list, range(3), range(1, 9, 3), range(9)[-1]
range(100001)
range(1, 5, 0)
record | length, text | length, nums | count, range(7) | length, record.items() | length, '' | length
three | length
record.items(), record.keys(), record.values(), record.items() | list, record | list, record.get('b'), record.get('zz'), record.get('zz', 5), record | items | list
record.update({'x': 1})
nums.append(4)
nums.sort()
record.clear()
words.index('fig'), words.count('pear'), [1, 1.0, true].count(1), (1, 2).index(2), words.copy()
words.index('kiwi')
dict(a=1, b=2), dict([('x', 1), ('y', 2)]), dict({'a': 1}, a=3), dict()
namespace(a=1).a, namespace({'b': 2}).b, namespace().c is defined
'%s is %d and %5.2f|%-5s|%05d|%x|%r|%%|%+d' % ('a', 3, 2.345, 'ab', 42, 255, "q'", 7)
'%s' % 5, '%s' % [1], '%(a)s %(b)d' % {'a': 1, 'b': 2}, '%.1f' % 0.25, '%.0f' % 2.5, '%d' % 3.99, '%i%%' % 50, '%.2s' % 'abc'
'%d' % 'x'
'%s %s' % ('a',)
'%s' % ('a', 'b')
'{} {}'.format(1, 'a'), '{1} {0}'.format('a', 'b'), '{x}-{y}'.format(x=1, y=none), '{{}}'.format(), '{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}|{:x}|{:+}|{:%}'.format('a', 'b', 'c', 42, 2.345, 1234567, 255, 3, 0.25)
'{:*^9}|{:08.3f}|{:,.1f}|{:b}|{:s}'.format('mid', 3.14159, 12345.678, 5, 'x')
'%s-%s' | format('a', 1), '%(x)s' | format(x=2)
text.upper(), text.lower(), text.title(), text.capitalize(), text.swapcase(), "they're bill's".title(), 'ÄÖ'.lower(), 'é'.upper()
text | upper, text | lower, "foo-bar (baz) x1y 'q" | title, 'HELLO wORLD' | capitalize, three | upper, nothing | lower, yes | title
spaced.strip(), spaced.lstrip() ~ '|', '|' ~ spaced.rstrip(), 'xxaxx'.strip('x'), 'abcba'.lstrip('ab'), 'abc'.rstrip('cb'), spaced | trim, '--a-' | trim('-'), 5 | trim
'\u00a0\u2003x\u3000\x1c\x85'.strip() ~ '|', '\u200bx'.strip() | length
spaced.split(), 'a,b,,c'.split(','), 'a,b,c'.split(',', 1), 'a b c'.split(none, 1), ''.split(), ''.split(','), ' a  b '.split(' '), 'a--b'.split('--'), 'a b  c '.split(maxsplit=1)
'a,b,c'.rsplit(',', 1), ' a b c '.rsplit(none, 1), 'abc'.rsplit('x'), 'a b'.rsplit(), 'a,b,c'.rsplit(',')
'a'.split('')
lines.splitlines(), lines.splitlines(true), ''.splitlines(), 'a\n'.splitlines(), 'a\r\nb\rc\x0bd\x85e\u2028f'.splitlines()
'abc'.partition('b'), 'abc'.partition('x'), 'abcbd'.rpartition('b'), 'abc'.rpartition('x')
text.startswith('He'), text.startswith(('x', 'H')), text.endswith('ld'), text.startswith('ell', 1), text.endswith('ell', 0, 4), ''.startswith('')
text.startswith(5)
text.find('o'), text.find('o', 5), text.find('z'), text.rfind('o'), emoji.find('b'), text.count('l'), text.count('l', 4), 'aaa'.count(''), text.index('W')
text.index('zz')
text.replace('l', 'L'), text.replace('l', 'L', 1), 'aaa'.replace('', '-'), 'abc'.replace('b', ''), text | replace('o', '0'), text | replace('l', 'L', 2), 5 | replace(5, 6), 'a😀b'.replace('', '.')
','.join(['a', 'b']), ''.join([]), ', '.join('abc'), '-'.join(record)
','.join([1])
'abc'.removeprefix('a'), 'abc'.removesuffix('bc'), 'abc'.removeprefix('x')
'ab'.center(7, '*'), 'abc'.center(6), 'ab'.ljust(4) ~ '|', 'ab'.rjust(4), '-5'.zfill(5), '5'.zfill(3), 'abcd'.center(7) ~ '|', 'ab' | center(6) ~ '|'
'12'.isdigit(), '1a'.isdigit(), ''.isdigit(), 'ab'.isalpha(), 'a1'.isalnum(), ' \t'.isspace(), 'AB1'.isupper(), 'ab1'.islower(), '1'.isupper(), 'aB'.islower(), '٣'.isdigit(), '½'.isnumeric()
text.nope()
text.upper(1)
text.split(wrong=1)
'a' 'b' "c"
'tab\t nl\\n \x41 \u00e9 \U0001F600 \101 \d \' \"'
"\z\q", '\a' | length
[1, 2,], (1, 2,), {'a': 1,}, range(3,) | list
()
words | join(', '), words | join, nums | join('-'), people | join(',', attribute='name'), 'abc' | join('.'), nope | join, mixed | join('|')
nums | first, nums | last, '' | first, [] | first is defined, [] | last is defined, 'xyz' | last, record | first, range(4) | last, nope | first
nums | sort, words | sort, words | sort(case_sensitive=true), nums | sort(reverse=true), people | sort(attribute='age') | map(attribute='name') | list, people | sort(attribute='age,name', reverse=true) | map(attribute='name') | list
mixed | sort
people | sort(attribute='age', reverse=true) | map(attribute='name') | join
record | dictsort | first | first, {'b': 1, 'A': 2} | dictsort, {'b': 1, 'A': 2} | dictsort(true), {'b': 1, 'a': 2} | dictsort(by='value'), {'b': 1, 'a': 2} | dictsort(false, 'value', true)
words | unique | list, words | unique(true) | list, [1, 1.0, true, 2] | unique | list, people | unique(attribute='age') | map(attribute='name') | list
nums | min, nums | max, words | min, words | max, words | min(true), [] | max is defined, people | max(attribute='age'), people | min(attribute='name') | attr('x') is defined
nums | sum, people | sum(attribute='age'), nums | sum(start=10), [] | sum, [0.1, 0.2] | sum, [[1], [2]] | sum(start=[])
words | sum
people | groupby('age'), people | groupby('age') | map('first') | list, (people | groupby('age'))[1].list | length
people | groupby('tags', default='none') | length is defined
nums | reverse | list, text | reverse, (1, 2) | reverse | list
nums | map('string') | list, words | map('upper') | join(','), people | map(attribute='name') | list, people | map(attribute='tags', default='-') | list, people | map(attribute='tags.0', default='-') | list, nested | map('first') | list, words | map('replace', 'p', 'P') | list, nested | map('join', '+') | list
nums | map | list
nums | map('nope') | list
nums | select | list, mixed | select | list, [0, '', 1] | reject | list, nums | select('odd') | list, nums | reject('odd') | list, nums | select('gt', 1) | list, words | select('in', ['fig', 'kiwi']) | list, words | select('equalto', 'fig') | list, mixed | select('string') | list
people | selectattr('tags') | map(attribute='name') | list, people | selectattr('tags', 'defined') | list | length, people | selectattr('age', 'equalto', 30) | map(attribute='name') | list, people | rejectattr('age', '==', 30) | map(attribute='name') | list, people | rejectattr('tags', 'undefined') | list | length, people | selectattr('age', 'lessthan', 28) | list | length
nums | select('nope') | list
people | selectattr() | list
nope | select | list, nope | map('upper') | list, nope | list, nope | items | list, nope | upper, nope | trim, nope | length, nope | string ~ '|', nope | default('d'), nope | reverse | list
nums | select('odd') | length
nums | select('odd') | first, (nums | select('odd'))[0] is defined, nums | select('odd') is iterable, nums | select('gt', 9) is sequence
nope | default('x'), nope | d(5), empty | default('x'), empty | default('x', true), no | default('x', true), nothing | default('x'), nope | default, record.nope | default([])
record.nope | default('x') ~ record.nope.x | default('y')
'5' | int, 'x' | int, 'x' | int(7), '4.7' | int, 3.99 | int, -3.99 | int, 'ff' | int(base=16), '0x1F' | int(0, 16), ' 12 ' | int, '1_000' | int, yes | int, nothing | int, nums | int(-1), '' | int, '٣' | int
'1.5' | float, 'x' | float, 'x' | float(2.5), 3 | float, '1e3' | float, infinite | float, ('-' ~ infinite) | float, nan | float, nothing | float, ' 2 ' | float
nope | int
5 | string + 'x', 1.0 | string, nothing | string, [1] | string, record | string, yes | string
minus | abs, 2.5 | abs, -2.5 | abs, yes | abs
'x' | abs
2.5 | round, 3.5 | round, 2.675 | round(2), 1234.5678 | round(2), 7 | round, 1234 | round(-2), 1250 | round(-2), 2.345 | round(1, 'ceil'), 2.345 | round(1, 'floor'), -2.5 | round, 0.5 | round | int, 1e300 | round(2), 15.5 | round(-1)
2.5 | round(method='up')
html | e, html | escape, (html | safe) | e, html | safe, (html | e) | length, ('<' | e) + '<', '<' + ('>' | safe), ('<' | e) ~ '<', [1, '<'] | e, html | forceescape
lines | indent, lines | indent(2), lines | indent(2, true), lines | indent(2, false, true), lines | indent('> ', true), 'a\n' | indent ~ '|', 'x' | indent(first=true)
nothing | indent
[1, 2, 3, 4, 5] | batch(2) | list, [1, 2, 3] | batch(2, 'x') | list, range(7) | slice(3) | list, range(7) | slice(3, 'x') | list
'one two three' | wordcount, 'a long text to cut' | truncate(10), 'a long text to cut' | truncate(10, true), 'short' | truncate(10), 'foo bar baz qux' | truncate(9, false, '', 0)
record | tojson, record | tojson(indent=2), mixed | tojson, [] | tojson(indent=2), {} | tojson(indent=4), {'a': [], 'b': {}} | tojson(indent=1), html | tojson, emoji | tojson, (1, 2) | tojson, 1.0 | tojson, 1e16 | tojson, quote | tojson, 'é\u2028\x7f\x01' | tojson, nothing | tojson, yes | tojson
emoji | tojson(ensure_ascii=true), 'é\x7f' | tojson(true), {'b': 1, 'a': 2} | tojson(sort_keys=true), [1, [2]] | tojson(separators=(',', ':')), [1] | tojson(indent='--'), {1: 2, none: 3, true: 4, 1.5: 5} | tojson, [1, 2] | tojson(indent=0)
nope | tojson
range(3) | tojson
record.items() | tojson
infinite | float | tojson, nan | float | tojson, -1e-7 | tojson
record is mapping, nums is mapping, text is string, three is number, half is number, yes is number, three is integer, yes is integer, half is float, three is float, yes is boolean, zero is boolean
nums is iterable, text is iterable, three is iterable, record is iterable, nothing is iterable, nums is sequence, text is sequence, record is sequence, three is sequence, range(2) is sequence, record.items() is sequence, (nums | map('string')) is sequence
nothing is none, nope is none, zero is none, yes is true, 1 is true, no is false, zero is false, nothing is not none, not nothing is none
three is odd, three is even, minus is odd, 4 is divisibleby 2, 4 is divisibleby(3), three is divisibleby three
three is eq 3, three is equalto(3), three is ne 3, three is gt 2, three is ge(3), three is lt 3, three is le 3, three is lessthan 4, three is greaterthan 1, 2 is in nums, 'x' is in text, 9 is not in nums
three is sameas 3, nothing is sameas none, nums is sameas nums, [1] is sameas [1], yes is sameas true, 1 is sameas true
'abc' is lower, 'ABC' is upper, 'aB' is lower, range is callable, text is callable, 'upper' is filter, 'nope' is filter, 'odd' is test, html | e is escaped, html is escaped
three is string or three is number, three is string and yes, 'a' is string ~ 'x'
text is defined and text is string and text | length > 3
three is nope
three | nope
1 is string is string
strftime_now('%d %b %Y'), strftime_now('%Y-%m-%d %H:%M:%S'), strftime_now('%A, %-d. %B %y %I %p %j %U %W %w %u %V %G %a %e %-m %_d %f %% %F %T %D %R %c %x %X %C %h %z%Z|'), strftime_now('x%')
raise_exception('no: ' ~ three)
raise_exception()
1 / 0
1 // 0
1 % 0
1.5 % 0
'a' + 1
1 + 'a'
'a' - 'b'
[] + ()
{} + {}
1 < 'a'
none < 1
{} < {}
'a' in 5
5 in 'a'
none()
'a'()
{[1]: 2}
{'a': 1}[[1]]
[1, 2] in {'a': 1}
five
1 +
(1
1)
[1
{'a'}
'unclosed
1 2
a b
.5
1.
a.
a..b
a['b'
@
1 = 2
if
x if
{{ 1 }}
1 | 2
f(a=1, 2)
f(*[1], *[2])
range(*[1, 3]) | list, dict(**{'a': 1}), range(*[0, 10], **{}) | list
dict(**[1])
loop
varargs is defined
caller is defined
none is none, None is none, True, False, TRUE is defined
not, 1
in
lines | nope1 | nope2
{'a': 1}.a, {'get': 5}.get is callable, {'get': 5}['get'], {'a b': 1}['a b'], {1: 'one'}[1], {1: 'one'}[1.0], {1: 'one'}[true], {'1': 'x'}.1 is defined
text.__class__ is defined
{'_x': 1}._x
'x' if text is string else raise_exception('never')
(text | upper).lower(), text.upper() | lower
-text | length
'a' ~ 1 + 2 ~ 'b'
1 ~ 2 * 3
'abc' | first | upper ~ 'x'
[[1, 2], [3, 4]] | map('sum') | sum
(1, 2) == [1, 2], (1, 2) | list == [1, 2], 'ab' | list, record | list | sort
10 | string | length, (10 | string)[0], 1.5 | string | first
three.bit_length is defined or true
""".strip("\n").split("\n")

STATEMENTS = [
    "{% if yes %}a{% elif nope.x %}b{% else %}c{% endif %}",
    "{% if no %}a{% elif three %}b{% else %}c{% endif %}{% if no %}x{% endif %}",
    "{% for x in nums %}{{ x }}{% endfor %}|{% for x in [] %}x{% else %}none{% endfor %}|{% for x in nope %}x{% else %}none{% endfor %}",
    "{% for x in nums %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "{% for x in nums %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{{ loop.nope is defined }} {% endfor %}{{ loop is defined }}",
    "{% for k, v in record.items() %}{{ k }}={{ v }};{% endfor %}{% for k in record %}{{ k }}{% endfor %}{% for k, v in record | items %}{{ k }}{% endfor %}",
    "{% for a, b in nested %}{{ a }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% for (a, b) in [[1, 2]] %}{{ a }}{{ b }}{% endfor %}",
    "{% for x in nums if x > 1 %}{{ x }}{{ loop.index }}{{ loop.length }}{{ loop.last }} {% else %}none{% endfor %}{% for x in nums if x > 5 %}x{% else %}none{% endfor %}",
    "{% set ns = namespace(max=0) %}{% for x in [1, 2, 3, 4, 5] if x > ns.max %}{{ x }}{% set ns.max = ns.max + 2 %}{% endfor %}",
    "{% set ns = namespace(max=0) %}{% for x in [1, 2, 3, 4, 5] if x > ns.max %}{{ x }}{{ loop.last }}{% set ns.max = ns.max + 2 %}{% endfor %}",
    "{% for x in nums | map('string') %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}{{ loop.revindex }} {% endfor %}",
    "{% set g = nums | select('odd') %}{{ g | list }}{{ g | list }}{% if g %}still true{% endif %}",
    "{% for x in [1, 2, 3, 4] %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in [1, 2] %}{% for y in [1, 2] %}{% if y == 2 %}{% break %}{% endif %}{{ x }}{{ y }}{{ loop.index }} {% endfor %}{{ loop.index }}{% else %}never{% endfor %}",
    "{% for x in [1] %}{% break %}{% else %}else{% endfor %}",
    "{% break %}", "{% macro m() %}{% continue %}{% endmacro %}",
    "{% for x in three %}{% endfor %}", "{% for x in nothing %}{% endfor %}",
    "{% set x = 1 %}{% for i in nums %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set x, y = 1, 2 %}{{ x }}{{ y }}{% set x, y = y, x %}{{ x }}{{ y }}", "{% set a, = [9] %}{{ a }}", "{{ 'line\\\ncontinued' }}",
    "{% set x, y = [1] %}", "{% set x, y = 1, 2, 3 %}", "{% set x = 1, 2 %}{{ x }}", "{% set (x) = 1 %}{{ x }}",
    "{% set x %}a{{ three }}{% endset %}{{ x }}{{ x | length }}", "{% set x | upper | replace('A', 'B') %}a{{ three }}{% endset %}{{ x }}",
    "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y is defined }}",
    "{% set ns = namespace(n=0) %}{% for i in nums %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{{ ns.m is defined }}",
    "{% set record.x = 1 %}", "{% set nope.x = 1 %}", "{% set ns = namespace() %}{% set ns.t %}text{% endset %}{{ ns.t }}",
    "{% set 1 = 2 %}", "{% set true = 2 %}", "{% set x.y.z = 2 %}", "{% set x[0] = 2 %}", "{% set %}", "{% set x = %}", "{% set x = 1",
    "{% set nums = nums + [4] %}{{ nums }}{% for nums in [1] %}{{ nums }}{% endfor %}{{ nums }}",
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}{{ m(1, c=9) }}",
    "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(1) }}{{ m.name }}{{ m.arguments }}",
    "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(z=2) }}", "{% macro m(a=1, b) %}{% endmacro %}",
    "{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}{{ m() }}",
    "{% macro m() %}{{ text }}{% set text = 'inner' %}{{ text }}{% endmacro %}{{ m() }}{{ text }}",
    "{% macro m() %}{{ later }}{% endmacro %}{% set later = 5 %}{{ m() }}",
    "{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * fact(n - 1) | int }}{% endif %}{% endmacro %}{{ fact(10) }}",
    "{% macro m() %} a {% endmacro %}{{ m() | trim }}{{ m() ~ m() }}{{ m() is string }}{{ m() | length }}",
    "{% macro list_items(items) %}{% for item in items %}{{ caller(item, loop.index) }}{% endfor %}{% endmacro %}{% call(item, n) list_items(nums) %}[{{ n }}:{{ item }}]{% endcall %}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}a{{ three }}{% endcall %}{{ m() }}",
    "{% macro m() %}x{% endmacro %}{% call m() %}a{% endcall %}", "{% call three %}a{% endcall %}", "{% call nope() %}a{% endcall %}",
    "{% for x in [1, 2] %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}{{ m is defined }}",
    "{% set f = range %}{{ f(3) | list }}{% set u = text.upper %}{{ u() }}",
    "{% filter upper %}a{{ text }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aXa{% endfilter %}", "{% filter nope %}{% endfilter %}",
    "{% with a = 1, b = three %}{{ a }}{{ b }}{% set a = 2 %}{{ a }}{% endwith %}{{ a is defined }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}",
    "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}",
    "{% generation %}a{{ three }}{% set z = 1 %}{% endgeneration %}{{ z is defined }}",
    "{% for x in [1, 2] %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}",
    "{% raw %}{{ not }} {% this %} {# either #}{% endraw %}|{%- raw -%}  a  {%- endraw -%}  |  {%- raw %} b {% endraw -%}  |",
    "{% raw %}\n a\n{% endraw %}\nb", "  {% raw %}  x\n  {% endraw %}  y", "{% raw %}{% endraw", "{%+ raw +%}",
    "a{# comment #}b{# multi\nline {{ x }} #}\nc{#- d -#} e {#+ f +#}\n g", "{# open", "  {# lstripped #}\nx\n  {#- y -#}\n z",
    "  {% if yes %}\n  a\n  {% endif %}\nb\n", "  {%- if yes -%}  a  {%- endif -%}  b", "  {%+ if yes %}a{%+ endif %}  \n b", "x  {% if yes %} a {% endif +%}\nb",
    "  {{ three }}\n  {{- three -}}\n  {{ three }}  \n", "{{ three }}\n", "{{ three }}\n\n", "a\r\nb\rc\n", "\n{% if yes %}\n\n{% endif %}\n\n", "{% if yes +%}\na{% endif %}",
    "\t{% if yes %}\tx\t{% endif %}\t\n", "a\n   {%- set x = 1 %}\n   b{% set y = 2 -%}\n\n c", "{%- if yes %}{%- endif %}", "{{- three -}}",
    "{% for x in nums -%}\n  {{ x }}\n{%- endfor %}", "{% for x in nums %}\n  {{ x }}\n{% endfor %}\n.", "  {{- 'a' }}  {{ 'b' -}}  c",
    "{{ '{{' }}{{ '%}' }}{{ \"}}\" }}{{ '#}' }}", "{{ {'a': {'b': 1}}.a.b }}{{ {'a': {}} }}", "{ { } } {a} %} }} #}", "{", "{{", "{%", "{{}}", "{%%}", "{{ }}", "",
    "{% if %}{% endif %}", "{% if yes %}", "{% if yes %}{% endfor %}", "{% endif %}", "{% for x in nums %}", "{% for x nums %}{% endfor %}", "{% for in nums %}{% endfor %}",
    "{% nope %}", "{% if yes %}{% nope %}{% endif %}", "{% else %}", "{% if yes %}{% else %}{% else %}{% endif %}", "{% if yes %}{% else %}{% elif no %}{% endif %}",
    "{% if no %}{{ three | nope }}{% endif %}ok", "{% if no %}{{ three is nope }}{% endif %}ok", "{{ (three | nope) if no else 'ok' }}", "{% if yes %}{{ three | nope }}{% endif %}",
    "{% if yes: %}a{% endif %}{% for x in nums: %}{{ x }}{% endfor %}", "{% print three %}",
    "{% for x in 'ab' %}{{ x }}.{% endfor %}{% for x in range(3) %}{{ x }}{% endfor %}{% for x in 1, 2 %}{{ x }}{% endfor %}{% for x in (nums if yes else words) %}{{ x }}{% endfor %}",
    "{% for message in people | selectattr('age', 'gt', 26) %}{{ message.name }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for g in people | groupby('age') %}{{ g.grouper }}:{% for p in g.list %}{{ p.name }}{% endfor %};{% endfor %}{% for age, group in people | groupby('age') %}{{ age }}{{ group | length }}{% endfor %}",
    "{% for x in nums | sort %}{{ x }}{% endfor %}{% for x in nums | reverse %}{{ x }}{% endfor %}{% for k, v in record | dictsort %}{{ k }}{% endfor %}",
    "{% set items = [] %}{% for x in nums %}{% set items = items + [x] %}{% endfor %}{{ items }}",
    "{% set ns = namespace(items=[]) %}{% for x in nums %}{% set ns.items = ns.items + [x * 2] %}{% endfor %}{{ ns.items }}",
    "{% do nums.append(1) %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}",
    "{{ raise_exception('a\nb') }}", 
    "{% if text is string and text.startswith('Hello') and 'World' in text %}yes{% endif %}",
    "{%- for x in nums %}\n    {%- if loop.first %}\n        {{- 'first ' }}\n    {%- endif %}\n    {{- x }}\n{%- endfor %}\n",
    "{{ 'a\nb' }}{{ 'a\\nb' }}{{ 'a\r\nb' | length }}", "{{ \n three \n }}", "{%\nif\nyes\n%}\na\n{%\nendif\n%}",
    "{{ three }}{{ -three }}{{- three -}}{{ three -}} {{+ three }}", "{{ three +}}", "{{ three-1 }}{{ three -1 }}{{ three - 1 }}{{ three+-1 }}",
    "{{ nested[0][1] }}{{ nested[-1][-1] }}{{ people[0]['tags'][0] }}{{ people[2].tags is defined }}{{ people[2]['tags'] | default('none') }}",
    "{{ text[0] | lower + text[1:] | upper }}", "{{ [x for x in nums] }}", "{{ lambda x: x }}", "{{ ''.__class__.__mro__ }}", "{{ range.__call__ is defined }}",
]

SOURCES = ["{{ " + (f"[{line}]" if "," in line and "\\" != line[-1] else line) + " }}" for line in EXPRESSIONS] + STATEMENTS
