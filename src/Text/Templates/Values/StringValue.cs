using System.Text;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>Text. As in Python, lengths and indices count code points, not UTF-16 units.</summary>
/// <param name="text">The text.</param>
/// <param name="isMarkup">The text was escaped or declared safe; <c>+</c> escapes what is joined to it.</param>
sealed class StringValue(string text, bool isMarkup = false) : Value
{
    readonly bool _hasSurrogates = text.AsSpan().ContainsAnyInRange('\ud800', '\udfff');
    int? _count;

    public string Text { get; } = text;

    public bool IsMarkup { get; } = isMarkup;

    public override string TypeName => "str";

    public override bool IsTrue => Text.Length > 0;

    public override int? Count => CodePoints;

    // Counted once, so the cost is part of having made the text.
    int CodePoints => _count ??= CodePointsIn(Text.Length);

    /// <summary>How many code points the first <paramref name="units"/> UTF-16 units of the text make.</summary>
    public int CodePointsIn(int units)
    {
        if (!_hasSurrogates) return units;
        var count = 0;
        for (var at = 0; at < units; at += UnitsAt(at)) count++;
        return count;
    }

    public override IEnumerable<Value> Iterate()
    {
        for (var at = 0; at < Text.Length; at += UnitsAt(at)) yield return new StringValue(Text.Substring(at, UnitsAt(at)));
    }

    public override Value? GetItem(Value key, Budget budget)
    {
        if (!key.TryGetInteger(out var index)) return null;
        if (index < 0) index += CodePoints;
        if (index < 0 || index >= CodePoints) return null;
        var at = UnitOf((int)index, budget);
        return new StringValue(Text.Substring(at, UnitsAt(at)));
    }

    public override Value Pick(Func<int, SliceRange> rangeOf, ValueContext context)
    {
        var range = rangeOf(CodePoints);
        if (range.Count == 0) return new StringValue("");
        var at = UnitOf(range.Start, context.Budget);
        if (range.Step == 1) return context.Text(Text.AsSpan(at..UnitOf(range.Start + range.Count, context.Budget)));
        context.Budget.MakeText(2L * range.Count);
        context.Budget.SpendOnLetters(range.Count * Math.Abs((long)range.Step));
        var picked = new StringBuilder(range.Count);
        for (var i = 0; i < range.Count; i++)
        {
            picked.Append(Text, at, UnitsAt(at));
            if (i + 1 < range.Count) at = Move(at, range.Step);
        }
        return new StringValue(picked.ToString());
    }

    /// <summary>The text escaped for HTML; unchanged if it is markup already. Some templates escape, although prompts are not HTML.</summary>
    public string Escape(Budget budget)
    {
        if (IsMarkup) return Text;
        var escaped = new BoundedText(budget);
        var rest = Text.AsSpan();
        for (; rest.IndexOfAny("&<>'\"") is >= 0 and var at; rest = rest[(at + 1)..])
            escaped.Append(rest[..at]).Append(rest[at] switch { '&' => "&amp;", '<' => "&lt;", '>' => "&gt;", '\'' => "&#39;", _ => "&#34;" });
        return escaped.Append(rest).ToString();
    }

    public override void WriteText(BoundedText output) => output.Append(Text);

    public override void WriteRepr(BoundedText output)
    {
        if (IsMarkup) output.Append("Markup(");
        StringRepr.Write(Text, output);
        if (IsMarkup) output.Append(')');
    }

    public override string ToString() => Text;

    /// <summary>The UTF-16 unit where a code point starts, or the text's length. With surrogates it is counted from the nearer end.</summary>
    int UnitOf(int index, Budget budget)
    {
        if (!_hasSurrogates) return index;
        var fromEnd = index > CodePoints / 2;
        budget.SpendOnLetters(fromEnd ? CodePoints - index : index);
        return fromEnd ? Move(Text.Length, index - CodePoints) : Move(0, index);
    }

    /// <summary>The unit that stands so many code points later, or earlier if their number is negative.</summary>
    int Move(int at, int codePoints)
    {
        if (!_hasSurrogates) return at + codePoints;
        for (; codePoints > 0; codePoints--) at += UnitsAt(at);
        for (; codePoints < 0; codePoints++) at -= at > 1 && char.IsLowSurrogate(Text[at - 1]) && char.IsHighSurrogate(Text[at - 2]) ? 2 : 1;
        return at;
    }

    int UnitsAt(int at) => char.IsHighSurrogate(Text[at]) && at + 1 < Text.Length && char.IsLowSurrogate(Text[at + 1]) ? 2 : 1;
}
