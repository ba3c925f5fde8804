using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>Text. As in Python, lengths and indices count code points, not UTF-16 units.</summary>
/// <param name="text">The text.</param>
/// <param name="isMarkup">The text was escaped or declared safe; <c>+</c> escapes what is joined to it.</param>
sealed class StringValue(string text, bool isMarkup = false) : Value
{
    readonly bool _hasSurrogates = text.AsSpan().ContainsAnyInRange('\ud800', '\udfff');

    public string Text { get; } = text;

    public bool IsMarkup { get; } = isMarkup;

    public override string TypeName => "str";

    public override bool IsTrue => Text.Length > 0;

    public override int? Count => CodePointsIn(Text.Length);

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

    public override Value? GetItem(Value key)
    {
        if (!key.TryGetInteger(out var index)) return null;
        var count = CodePointsIn(Text.Length);
        if (index < 0) index += count;
        if (index < 0 || index >= count) return null;
        if (!_hasSurrogates) return new StringValue(Text[(int)index].ToString());
        var at = 0;
        for (var skipped = 0; skipped < index; skipped++) at += UnitsAt(at);
        return new StringValue(Text.Substring(at, UnitsAt(at)));
    }

    public override Value Pick(Func<int, SliceRange> rangeOf, ValueContext context)
    {
        context.Budget.SpendOnText(Text.Length);
        var characters = _hasSurrogates ? Text.EnumerateRunes().ToArray() : null;
        var range = rangeOf(characters?.Length ?? Text.Length);
        if (characters is null && range.Step == 1) return context.Text(Text.Substring(range.Start, range.Count));
        var picked = new BoundedText(context.Budget);
        for (var i = 0; i < range.Count; i++)
            if (characters is null) picked.Append(Text[range[i]]);
            else picked.Append(characters[range[i]].ToString());
        return new StringValue(picked.ToString());
    }

    /// <summary>The text escaped for HTML; unchanged if it is markup already. Some templates escape, although prompts are not HTML.</summary>
    public string Escape() => IsMarkup ? Text
        : Text.Replace("&", "&amp;").Replace(">", "&gt;").Replace("<", "&lt;").Replace("'", "&#39;").Replace("\"", "&#34;");

    public override void WriteText(BoundedText output) => output.Append(Text);

    public override void WriteRepr(BoundedText output)
    {
        if (IsMarkup) output.Append("Markup(");
        StringRepr.Write(Text, output);
        if (IsMarkup) output.Append(')');
    }

    public override string ToString() => Text;

    int UnitsAt(int at) => char.IsHighSurrogate(Text[at]) && at + 1 < Text.Length && char.IsLowSurrogate(Text[at + 1]) ? 2 : 1;
}
