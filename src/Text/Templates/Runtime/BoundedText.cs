using System.Text;

namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>Text under construction whose growth the budget bounds.</summary>
sealed class BoundedText(Budget budget)
{
    readonly StringBuilder _text = new();

    public BoundedText Append(ReadOnlySpan<char> text)
    {
        budget.MakeText(text.Length);
        _text.Append(text);
        return this;
    }

    public BoundedText Append(char character)
    {
        budget.MakeText(1);
        _text.Append(character);
        return this;
    }

    public BoundedText Append(char character, int count)
    {
        budget.MakeText(count);
        _text.Append(character, count);
        return this;
    }

    public override string ToString() => _text.ToString();
}
