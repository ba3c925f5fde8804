using System.Globalization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>Pipelines and what they are made of.</summary>
sealed partial class GoParser
{
    /// <summary>Variables in one body. They are looked for one by one.</summary>
    const int MostVariables = 200;

    static readonly string[] Keywords = ["block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"];

    /// <summary>A pipeline and what ends it: a parenthesis or the action's end.</summary>
    Pipeline ReadPipeline(bool inParentheses = false, bool isRange = false)
    {
        Deepen();
        var start = Current;
        var (names, declares) = inParentheses ? ([], false) : ReadTargets(isRange);
        var commands = new List<Command>();
        do commands.Add(ReadCommand(isFirst: commands.Count == 0));
        while (TakeSign("|"));
        if (inParentheses ? !TakeSign(")") : Current.Kind != GoTokenKind.Close) throw Fault($"unexpected {Current.Description}", Current);
        if (!inParentheses) Take();
        _depth--;
        return new Pipeline(start.At, [.. names.Select(name => SlotOf(name, declares))], declares, commands);
    }

    /// <summary>The variables that a pipeline sets.</summary>
    (List<GoToken> Names, bool Declares) ReadTargets(bool isRange)
    {
        var names = new List<GoToken>();
        if (Current.Kind != GoTokenKind.Variable || Following is not { Kind: GoTokenKind.Sign, Text: ":=" or "=" or "," }) return (names, false);
        names.Add(Take());
        if (isRange && TakeSign(","))
        {
            if (Current.Kind != GoTokenKind.Variable) throw Fault($"a range can only set variables, not {Current.Description}", Current);
            names.Add(Take());
        }
        var sign = Take();
        if (sign is not { Kind: GoTokenKind.Sign, Text: ":=" or "=" }) throw Fault($"unexpected {sign.Description}", sign);
        if (isRange && sign.Text == "=") throw Fault("a range with '=' is not supported: use ':='", sign);
        return (names, sign.Text == ":=");
    }

    /// <summary>A variable begins behind the pipeline that sets it.</summary>
    int SlotOf(GoToken name, bool declares)
    {
        if (!declares) return FindSlot(name);
        if (_variables.Count == MostVariables) throw Fault($"more than {MostVariables} variables", name);
        _variables.Add(name.Text);
        return _variables.Count - 1;
    }

    int FindSlot(GoToken name) => _variables.LastIndexOf(name.Text) is >= 0 and var slot ? slot
        : throw Fault($"the variable {ErrorText.Quote(name.Text)} is not defined", name);

    Command ReadCommand(bool isFirst)
    {
        var start = Current;
        var operands = new List<Operand> { ReadOperand() };
        while (Current is not ({ Kind: GoTokenKind.Close } or { Kind: GoTokenKind.Sign, Text: "|" or ")" }))
        {
            if (!Current.AfterSpace) throw Fault($"unexpected {Current.Description}", Current);
            operands.Add(ReadOperand());
        }
        if (operands[0] is Operand.Function) return new Command(start.At, operands);
        if (!isFirst) throw Fault($"{start.Description} is no function and takes no value of a pipeline", start);
        if (operands.Count > 1) throw Fault($"{start.Description} is no function and takes no arguments", start);
        if (operands[0] is Operand.Constant { Value: null }) throw Fault("nil is no command", start);
        return new Command(start.At, operands);
    }

    Operand ReadOperand()
    {
        var token = Take();
        switch (token.Kind)
        {
            case GoTokenKind.Dot:
                return WithoutPath(new Operand.Dot(token.At, []));
            case GoTokenKind.Field:
                return new Operand.Dot(token.At, [FieldOf(token), .. ReadPath()]);
            case GoTokenKind.Variable:
                return new Operand.Variable(token.At, FindSlot(token), ReadPath());
            case GoTokenKind.String:
                return WithoutPath(new Operand.Constant(token.At, token.Text));
            case GoTokenKind.Number:
                return WithoutPath(new Operand.Constant(token.At, NumberOf(token)));
            case GoTokenKind.Word when token.Text is "true" or "false" or "nil":
                return WithoutPath(new Operand.Constant(token.At, token.Text == "nil" ? null : token.Text == "true"));
            case GoTokenKind.Word when !Keywords.Contains(token.Text):
                if (!GoFunctions.IsKnown(token.Text))
                    throw Fault($"the function {ErrorText.Quote(token.Text)} is not {(GoFunctions.IsOfGo(token.Text) ? "supported" : "defined")}", token);
                return WithoutPath(new Operand.Function(token.At, token.Text));
            case GoTokenKind.Sign when token.Text == "(":
                var pipe = ReadPipeline(inParentheses: true);
                return new Operand.Nested(token.At, pipe, ReadPath());
            default:
                throw Fault($"unexpected {token.Description}", token);
        }
    }

    List<string> ReadPath()
    {
        var path = new List<string>();
        while (Current is { Kind: GoTokenKind.Field, AfterSpace: false }) path.Add(FieldOf(Take()));
        return path;
    }

    Operand WithoutPath(Operand operand) =>
        Current is { Kind: GoTokenKind.Field or GoTokenKind.Dot, AfterSpace: false } ? throw Fault("nothing here has fields", Current) : operand;

    string FieldOf(GoToken token)
    {
        _fields.Add(token.Text.ToLowerInvariant());
        return token.Text;
    }

    object NumberOf(GoToken token)
    {
        if (token.Text.AsSpan().IndexOfAnyExcept("+-0123456789.eE") < 0)
        {
            var isReal = token.Text.AsSpan().ContainsAny('.', 'e', 'E');
            // Go reads a leading zero as octal.
            var digits = token.Text.AsSpan().TrimStart("+-");
            var isDecimal = !isReal && (digits.Length == 1 || !digits.StartsWith("0"));
            if (isDecimal && long.TryParse(token.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var integer)) return integer;
            if (isReal && double.TryParse(token.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out var real) && double.IsFinite(real)) return real;
        }
        throw Fault($"the number {ErrorText.Quote(token.Text)} is not supported", token);
    }
}
