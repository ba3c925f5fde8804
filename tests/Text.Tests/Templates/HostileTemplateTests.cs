using System.Text.Json.Nodes;
using LlamaCluster.Text.Templates;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Tests.Templates;

/// <summary>
/// Whatever a template asks of the language is paid for before it is done: what would take much work stops at the limit on steps, and what
/// would take much memory at that on characters, with little allocated until then. Nothing here looks at a clock.
/// </summary>
public sealed class HostileTemplateTests
{
    const long MostAllocated = 100 << 20;

    static readonly TemplateLimits Tight = new() { Steps = 200_000, Characters = 1_000_000 };

    /// <summary>Nearly found at every second place, and only after long comparing that it is not there.</summary>
    const string NearlyFound = "{% set t = 'ab' * 40000 %}{% set w = 'ab' * 10000 ~ 'ca' ~ 'ab' * 10000 %}";

    [Theory]
    // Text that is read again and again.
    [InlineData("{% set t = 'a' * 90000 %}{% for i in range(2000) %}{{ t is lower }}{% endfor %}")]
    [InlineData("{% set t = 'A' * 90000 %}{% for i in range(2000) %}{{ t is upper }}{% endfor %}")]
    [InlineData("{% set t = 'a' * 90000 %}{% for i in range(2000) %}{{ t is sameas(t ~ '') }}{% endfor %}")]
    [InlineData("{% set l = ['a' * 90000] * 2000 %}{{ l | select('lower') | list | length }}")]
    [InlineData("{% set l = ['a' * 90000] * 2000 %}{{ l | map('wordcount') | sum }}")]
    [InlineData("{% set l = ['x' * 90000] * 2000 %}{{ l | map('int') | sum }}")]
    [InlineData("{% set t = '\ud83d\ude00' * 20000 %}{% for i in range(20000) %}{{ t[i] }}{% endfor %}")]
    [InlineData("{% set t = '\ud83d\ude00' * 20000 %}{% for i in range(20000) %}{{ t[i:i+1] }}{% endfor %}")]
    [InlineData("{% set t = '\ud83d\ude00' * 20000 %}{% for i in range(20000) %}{{ t[10000:9000:-1] }}{% endfor %}")]
    // Keys.
    [InlineData("{% set k = 'a' * 90000 %}{% set d = {k: 1} %}{% for i in range(3000) %}{{ d[k] }}{% endfor %}")]
    [InlineData("{% set k = 'a' * 90000 %}{% set d = {k: 1} %}{% for i in range(3000) %}{{ d.get(k) }}{% endfor %}")]
    [InlineData("{% set k = 'a' * 90000 %}{% set d = {k: 1} %}{% for i in range(3000) %}{{ k in d }}{% endfor %}")]
    [InlineData("{% set k = 'a' * 90000 %}{% for i in range(3000) %}{% set d = {k: 1} %}{% endfor %}")]
    [InlineData("{% set k = 'a' * 90000 %}{% for i in range(3000) %}{% set d = dict([[k, 1]]) %}{% endfor %}")]
    [InlineData("{% set k = 'a' * 90000 %}{% for i in range(3000) %}{% set d = namespace({k: 1}) %}{% endfor %}")]
    [InlineData("{% set k = 'a' * 90000 %}{% set d = {k: 1} %}{% for i in range(3000) %}{{ d == d.copy() }}{{ d == dict(d) }}{% endfor %}")]
    [InlineData("{% set l = ['a' * 90000] * 3000 %}{{ l | unique(case_sensitive=true) | list | length }}")]
    [InlineData("{% set l = ['a' * 90000] * 3000 %}{{ [] | attr(l[0]) }}{% for k in l %}{{ messages[k] is defined }}{% endfor %}")]
    [InlineData("{% set t = (1,) * 60000 %}{% set d = {t: 1} %}{% for i in range(1000) %}{{ d[t] }}{% endfor %}")]
    // Searches that come close.
    [InlineData(NearlyFound + "{{ w in t }}")]
    [InlineData(NearlyFound + "{{ t.find(w) }}")]
    [InlineData(NearlyFound + "{{ t.rfind(w) }}")]
    [InlineData(NearlyFound + "{{ t.count(w) }}")]
    [InlineData(NearlyFound + "{{ t.replace(w, '') }}")]
    [InlineData(NearlyFound + "{{ t.split(w) }}")]
    [InlineData(NearlyFound + "{{ t.rsplit(w) }}")]
    [InlineData(NearlyFound + "{{ t.partition(w) }}")]
    [InlineData(NearlyFound + "{{ t.rpartition(w) }}")]
    // Lists of any length.
    [InlineData("{{ [1] | batch(2000000000, 'x') | list }}")]
    [InlineData("{{ [1] | slice(2000000000) | list }}")]
    [InlineData("{{ [1, 2] | map(attribute='a.' * 300000) | list }}")]
    [InlineData("{{ [1, 2] | sort(attribute=',' * 300000) }}")]
    [InlineData("{{ 'a'.strip('b' * 900000) }}")]
    // Numbers with many digits, each of which is computed.
    [InlineData("{% for i in range(10000) %}{% set x = 1e-300 | round(330) %}{% endfor %}")]
    [InlineData("{% for i in range(90) %}{% set x = '%.9999f' % 0.1 %}{% endfor %}")]
    [InlineData("{% for i in range(90) %}{% set x = '{:.9999f}'.format(0.1) %}{% endfor %}")]
    // Memory.
    [InlineData("{{ ('a ' * 100000).split() | length }}")]
    [InlineData("{{ ('a ' * 100000).rsplit() | length }}")]
    [InlineData("{{ ('a,' * 100000).split(',') | length }}")]
    [InlineData("{{ ('a\\n' * 100000).splitlines() | length }}")]
    [InlineData("{{ ('a\\n' * 40000) | indent(1000) }}")]
    [InlineData("{{ (\"'\" * 300000) | escape }}")]
    [InlineData("{{ (\"'\" * 300000) | safe + \"'\" * 300000 }}")]
    [InlineData("{{ strftime_now('%c' * 60000) }}")]
    [InlineData("{{ ('a' * 600000) | title }}")]
    [InlineData("{{ [1] * 70000 }}")]
    [InlineData("{% set d = dict(range(9000) | batch(2)) %}{% for i in range(20) %}{% set l = d.items() | list %}{% endfor %}")]
    [InlineData("{% macro m() %}{{ varargs | length }}{% endmacro %}{% set l = [1] * 20000 %}{% for i in range(9) %}{{ m(*l) }}{% endfor %}")]
    [InlineData("{{ ('\ud83d\ude00' * 300000)[::-1] }}")]
    public void MuchWorkAndMuchMemoryStopAtTheLimits(string source)
    {
        var template = ChatTemplate.Parse(source);
        var before = GC.GetAllocatedBytesForCurrentThread();

        var failure = Assert.Throws<ChatTemplateException>(() => template.RenderAsGiven(NoMessages, Tight));

        Assert.Matches("needs more than 200,00. steps|makes more than 1,000,0.. characters of text", failure.Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MostAllocated);
    }

    /// <summary>Work in proportion to the text is fine, however the text looks.</summary>
    [Theory]
    [InlineData("{{ (n * 100000 ~ 'x' ~ n * 100000).strip(n) }}", "x")]
    [InlineData("{{ (n * 100000 ~ 'x' ~ n * 100000).strip() }}", "x")]
    [InlineData("{{ (n * 200000).strip(n) | length }}", "0")]
    [InlineData("{{ (n * 200000).lstrip(n) | length }} {{ (n * 200000).rstrip(n) | length }}", "0 0")]
    [InlineData("{{ ('a ' * 8000).split() | length }} {{ ('a ' * 20000).rsplit(none, 3) | length }}", "8000 4")]
    [InlineData("{{ ('  ' * 90000 ~ 'a').split() }} {{ ('a' ~ '  ' * 90000).rsplit() }}", "['a'] ['a']")]
    [InlineData("{% set t = s * 100000 ~ 'x' %}{{ t[-1] }}{{ t[100000] }}{{ t[-3:] | length }}{{ t[0] == t[-2] }}{{ t[1::50000] | length }}", "xx3True2")]
    [InlineData("{{ [1, 2, 3] | batch(2000000000) | list }}{{ [1, 2, 3] | batch(2, 0) | list }}", "[[1, 2, 3]][[1, 2], [3, 0]]")]
    public void WorkInProportionToTheTextIsDone(string source, string expected)
    {
        var template = ChatTemplate.Parse("{% set n = '\\n' %}{% set s = '\ud83d\ude00' %}" + source);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Assert.Equal(expected, template.RenderAsGiven(NoMessages, Tight with { Steps = 20_000 * 8 }));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20 << 20);
    }

    [Fact]
    public void KeysThatShareAHashCodeInDotNetAreNoBurden()
    {
        // Upper and lower half of each number's bits combine to one value, which is all that .NET's own hash code of a number is.
        var numbers = Enumerable.Range(1, 2000).Select(i => BitConverter.UInt64BitsToDouble((ulong)(0x3ff00000 + i) << 32 | (uint)(0x3ff00000 + i))).ToArray();
        Assert.Single(numbers.Select(number => number.GetHashCode()).Distinct());

        var hashes = numbers.Select(number => KeyEquality.Instance.GetHashCode(new FloatValue(number)));

        Assert.InRange(hashes.Distinct().Count(), 1990, 2000);
    }

    [Theory]
    [InlineData("{{ '%\u0663d' % 1 }}")]
    [InlineData("{{ '{:\u0663}'.format(1) }}")]
    [InlineData("{{ '%(' * 1000 % {} }}")]
    public void AFormatThatIsNoneIsRefused(string source) =>
        Assert.Contains("is not supported", Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).RenderAsGiven(NoMessages)).Message);

    [Theory]
    [InlineData("{{ raise_exception('x' * 900000) }}")]
    [InlineData("{{ messages['x' * 900000].y }}")]
    [InlineData("{{ '{x}'.format(**{'x' * 900000: 1}) }}")]
    [InlineData("{{ [1] | map('x' * 900000) | list }}")]
    [InlineData("{{ [1] | select('x' * 900000) | list }}")]
    [InlineData("{% macro m() %}{% endmacro %}{{ m(**{'x' * 900000: 1}) }}")]
    public void AMessageIsShort(string source) =>
        Assert.InRange(Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).RenderAsGiven(NoMessages)).Message.Length, 20, 1100);

    [Theory]
    [InlineData("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}")]
    [InlineData("{% for i in range(100000) %}{{ range(5000) | sort(reverse=true) | length }}{% endfor %}")]
    [InlineData("{% for i in range(100000) %}{{ range(100000) | select('odd') | list | length }}{% endfor %}")]
    public void NobodyWaitsAnyMore(string source)
    {
        using var left = new CancellationTokenSource();
        left.Cancel();
        var template = ChatTemplate.Parse(source);

        Assert.ThrowsAny<OperationCanceledException>(() => template.RenderAsGiven(NoMessages, cancellation: left.Token));
        Assert.ThrowsAny<OperationCanceledException>(() => template.Render(NoMessages, cancellation: left.Token));
    }

    [Fact]
    public void ARenderingEndsWhenItsTimeIsOver()
    {
        var template = ChatTemplate.Parse("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}");

        var failure = Assert.Throws<ChatTemplateException>(() => template.Render(NoMessages, new HurriedTime()));

        Assert.Equal("takes longer than 10 seconds", failure.Reason);
    }

    static ChatTemplateInput NoMessages { get; } = new() { Messages = new JsonArray(), Now = DateTimeOffset.UnixEpoch };

    /// <summary>A clock on which a second passes between two looks.</summary>
    sealed class HurriedTime : TimeProvider
    {
        long _seconds;

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => _seconds++;
    }
}
