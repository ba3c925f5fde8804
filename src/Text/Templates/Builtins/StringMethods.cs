using System.Buffers;
using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>The methods of text, as in Python.</summary>
static partial class StringMethods
{
    delegate Value Method(ValueContext context, StringValue self, CallArguments arguments);

    static readonly FrozenDictionary<string, Method> ByName = new Dictionary<string, Method>
    {
        ["upper"] = Changing("upper", text => text.ToUpperInvariant()),
        ["lower"] = Changing("lower", text => text.ToLowerInvariant()),
        ["casefold"] = Changing("casefold", text => text.ToLowerInvariant()),
        ["swapcase"] = Changing("swapcase", LetterCase.Swap),
        ["title"] = Changing("title", LetterCase.Title),
        ["capitalize"] = Changing("capitalize", LetterCase.Capitalize),
        ["strip"] = (context, self, arguments) => Strip(context, self, arguments, atStart: true, atEnd: true),
        ["lstrip"] = (context, self, arguments) => Strip(context, self, arguments, atStart: true, atEnd: false),
        ["rstrip"] = (context, self, arguments) => Strip(context, self, arguments, atStart: false, atEnd: true),
        ["removeprefix"] = (context, self, arguments) => RemovePrefix(context, self, arguments),
        ["removesuffix"] = (context, self, arguments) => RemoveSuffix(context, self, arguments),
        ["replace"] = Replace,
        ["join"] = Join,
        ["format"] = (context, self, arguments) => BraceFormat.Apply(self, arguments, context),
        ["center"] = (context, self, arguments) => Pad(context, self, arguments, "center"),
        ["ljust"] = (context, self, arguments) => Pad(context, self, arguments, "ljust"),
        ["rjust"] = (context, self, arguments) => Pad(context, self, arguments, "rjust"),
        ["zfill"] = FillWithZeros,
        ["split"] = (context, self, arguments) => Split(context, self, arguments, fromEnd: false),
        ["rsplit"] = (context, self, arguments) => Split(context, self, arguments, fromEnd: true),
        ["splitlines"] = SplitLines,
        ["partition"] = (context, self, arguments) => Partition(context, self, arguments, fromEnd: false),
        ["rpartition"] = (context, self, arguments) => Partition(context, self, arguments, fromEnd: true),
        ["startswith"] = (context, self, arguments) => StartsOrEnds(context, self, arguments, atEnd: false),
        ["endswith"] = (context, self, arguments) => StartsOrEnds(context, self, arguments, atEnd: true),
        ["find"] = (context, self, arguments) => new IntegerValue(Find(context, self, arguments, "find", fromEnd: false)),
        ["rfind"] = (context, self, arguments) => new IntegerValue(Find(context, self, arguments, "rfind", fromEnd: true)),
        ["index"] = (context, self, arguments) => Index(context, self, arguments, "index", fromEnd: false),
        ["rindex"] = (context, self, arguments) => Index(context, self, arguments, "rindex", fromEnd: true),
        ["count"] = Count,
        ["isdigit"] = Every("isdigit", Rune.IsDigit),
        ["isdecimal"] = Every("isdecimal", rune => Rune.GetUnicodeCategory(rune) == UnicodeCategory.DecimalDigitNumber),
        ["isnumeric"] = Every("isnumeric", Rune.IsNumber),
        ["isalpha"] = Every("isalpha", Rune.IsLetter),
        ["isalnum"] = Every("isalnum", rune => Rune.IsLetter(rune) || Rune.IsNumber(rune)),
        ["isspace"] = Every("isspace", rune => rune.IsBmp && Whitespace.IsWhitespace((char)rune.Value)),
        ["islower"] = Asking("islower", LetterCase.IsLower),
        ["isupper"] = Asking("isupper", LetterCase.IsUpper),
    }.ToFrozenDictionary();

    public static Value? Find(StringValue self, string name) =>
        ByName.TryGetValue(name, out var method) ? new FunctionValue(name, (context, arguments) => Call(method, context, self, arguments)) : null;

    static Value Call(Method method, ValueContext context, StringValue self, CallArguments arguments)
    {
        context.Budget.SpendOnText(self.Text.Length);
        return method(context, self, arguments);
    }

    static Method Changing(string name, Func<string, string> change) => (context, self, arguments) =>
    {
        arguments.Bind(name);
        return context.Changed(self.Text, change);
    };

    static Method Asking(string name, Func<string, bool> holds) => (context, self, arguments) =>
    {
        arguments.Bind(name);
        context.Budget.SpendOnLetters(self.Text.Length);
        return BooleanValue.Of(holds(self.Text));
    };

    static Method Every(string name, Func<Rune, bool> holds) => Asking(name, text =>
    {
        foreach (var rune in text.EnumerateRunes())
            if (!holds(rune)) return false;
        return text.Length > 0;
    });

    static Value Strip(ValueContext context, StringValue self, CallArguments arguments, bool atStart, bool atEnd)
    {
        var characters = arguments.Bind("strip", "chars")[0];
        var text = self.Text;
        var stripped = characters is null or NoneValue ? null : RunesOf(characters.AsText("strip"), context.Budget);
        var start = !atStart ? 0 : stripped is null ? Whitespace.SkipForward(text, 0) : SkipForward(text, stripped);
        var end = !atEnd ? text.Length : stripped is null ? Whitespace.SkipBackward(text, text.Length) : SkipBackward(text, stripped);
        return context.Text(text.AsSpan(start..Math.Max(start, end)));
    }

    static HashSet<Rune> RunesOf(string characters, Budget budget)
    {
        budget.MakeElements(characters.Length);
        return characters.EnumerateRunes().ToHashSet();
    }

    static int SkipForward(string text, HashSet<Rune> skipped)
    {
        var at = 0;
        while (Rune.DecodeFromUtf16(text.AsSpan(at), out var first, out var length) is OperationStatus.Done && skipped.Contains(first)) at += length;
        return at;
    }

    static int SkipBackward(string text, HashSet<Rune> skipped)
    {
        var end = text.Length;
        while (Rune.DecodeLastFromUtf16(text.AsSpan(0, end), out var last, out var length) is OperationStatus.Done && skipped.Contains(last)) end -= length;
        return end;
    }

    static Value RemovePrefix(ValueContext context, StringValue self, CallArguments arguments)
    {
        var prefix = arguments.Bind("removeprefix", "prefix")[0].Required("removeprefix", "prefix").AsText("removeprefix");
        return self.Text.StartsWith(prefix, StringComparison.Ordinal) ? context.Text(self.Text.AsSpan(prefix.Length)) : self;
    }

    static Value RemoveSuffix(ValueContext context, StringValue self, CallArguments arguments)
    {
        var suffix = arguments.Bind("removesuffix", "suffix")[0].Required("removesuffix", "suffix").AsText("removesuffix");
        return self.Text.EndsWith(suffix, StringComparison.Ordinal) ? context.Text(self.Text.AsSpan(..^suffix.Length)) : self;
    }

    static Value Replace(ValueContext context, StringValue self, CallArguments arguments)
    {
        var bound = arguments.Bind("replace", "old", "new", "count");
        var old = bound[0].Required("replace", "old").AsText("replace");
        var replacement = bound[1].Required("replace", "new").AsText("replace");
        var left = bound[2]?.AsInteger("replace") ?? -1;
        var output = new BoundedText(context.Budget);
        var text = self.Text;
        var written = 0;
        // Empty text is found before every character and at the end.
        for (var at = TextSearch.IndexOf(text, old, context.Budget); at >= 0 && left != 0; left--)
        {
            context.Budget.Spend(1);
            output.Append(text.AsSpan(written..at)).Append(replacement);
            written = at + old.Length;
            var next = old.Length > 0 ? written : at + (at + 1 < text.Length && char.IsSurrogatePair(text, at) ? 2 : 1);
            var found = next <= text.Length ? TextSearch.IndexOf(text.AsSpan(next), old, context.Budget) : -1;
            at = found < 0 ? -1 : next + found;
        }
        output.Append(text.AsSpan(written));
        return new StringValue(output.ToString());
    }

    static Value Join(ValueContext context, StringValue self, CallArguments arguments)
    {
        var output = new BoundedText(context.Budget);
        var index = 0;
        foreach (var element in context.Elements(arguments.Bind("join", "iterable")[0].Required("join", "iterable")))
        {
            if (index > 0) output.Append(self.Text);
            output.Append(element is StringValue text ? text.Text
                : throw new TemplateFault($"sequence item {index}: expected str instance, {element.TypeName} found"));
            index++;
        }
        return new StringValue(output.ToString());
    }

    static Value Pad(ValueContext context, StringValue self, CallArguments arguments, string name)
    {
        var bound = arguments.Bind(name, "width", "fillchar");
        var fill = bound[1] is null ? " " : bound[1]!.AsText(name);
        if (fill.Length != 1) throw new TemplateFault($"{name}() fills with one character");
        long width = bound[0].Required(name, "width").AsInteger(name), missing = Math.Max(width - self.Count!.Value, 0);
        // If the padding cannot be even, Python puts the extra character on the left when the width is odd.
        var left = name == "ljust" ? 0 : name == "rjust" ? missing : missing / 2 + (missing & width & 1);
        context.Budget.MakeText(self.Text.Length + missing);
        return new StringValue(new string(fill[0], (int)left) + self.Text + new string(fill[0], (int)(missing - left)));
    }

    static Value FillWithZeros(ValueContext context, StringValue self, CallArguments arguments)
    {
        var width = arguments.Bind("zfill", "width")[0].Required("zfill", "width").AsInteger("zfill");
        var missing = Math.Max(width - self.Count!.Value, 0);
        context.Budget.MakeText(self.Text.Length + missing);
        var sign = self.Text is ['+' or '-', ..] ? 1 : 0;
        return new StringValue(self.Text[..sign] + new string('0', (int)missing) + self.Text[sign..]);
    }
}
