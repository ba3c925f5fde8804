using System.Collections.Concurrent;
using System.Collections.Frozen;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>Formats of strings that are enforced, each in the usual form of its RFC. Calendars are right: months have their days, leap years too.</summary>
static class StringFormats
{
    const string Leap = "(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)";
    const string Date = $"(\\d{{4}}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))|{Leap}-02-29)";
    const string Time = "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+\\-]([01]\\d|2[0-3]):[0-5]\\d)";
    // Hyphens at the third and fourth place mark a name in another writing (RFC 5891), of which no grammar can tell whether it is one.
    const string Alphanumeric = "[A-Za-z0-9]";
    const string Inner = "[A-Za-z0-9\\-]";
    const string LabelStart = $"{Alphanumeric}({Alphanumeric}|{Inner}{Alphanumeric}|{Inner}{{2}}{Alphanumeric}"
        + $"|{Inner}({Alphanumeric}{Inner}|-{Alphanumeric}){Inner}";

    /// <summary>
    /// A first label of at most 63 characters and six of at most 30, so that all of it is shorter than 254.
    /// </summary>
    const string Host = $"{LabelStart}{{0,58}}{Alphanumeric})?(\\.{LabelStart}{{0,25}}{Alphanumeric})?){{0,6}}";
    const string Octet = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
    const string Ipv4 = $"{Octet}(\\.{Octet}){{3}}";
    const string H16 = "[0-9A-Fa-f]{1,4}";
    const string Atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-]+";
    /// <summary>Of a URI's host and user.</summary>
    const string Named = "([A-Za-z0-9\\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})";
    const string UriCharacter = "([A-Za-z0-9\\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})";

    const string Ipv6 =
        $"(({H16}:){{7}}{H16}|({H16}:){{1,7}}:|({H16}:){{1,6}}:{H16}|({H16}:){{1,5}}(:{H16}){{1,2}}"
        + $"|({H16}:){{1,4}}(:{H16}){{1,3}}|({H16}:){{1,3}}(:{H16}){{1,4}}"
        + $"|({H16}:){{1,2}}(:{H16}){{1,5}}|{H16}:(:{H16}){{1,6}}|:((:{H16}){{1,7}}|:))";

    static readonly Dictionary<string, string> Expressions = new()
    {
        ["date"] = Date,
        ["time"] = Time,
        ["date-time"] = $"{Date}T{Time}",
        ["duration"] = "P(\\d+W|(\\d+Y(\\d+M(\\d+D)?)?|\\d+M(\\d+D)?|\\d+D)(T(\\d+H(\\d+M(\\d+S)?)?|\\d+M(\\d+S)?|\\d+S))?"
            + "|T(\\d+H(\\d+M(\\d+S)?)?|\\d+M(\\d+S)?|\\d+S))",
        ["uuid"] = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
        ["email"] = $"{Atom}(\\.{Atom})*@{Host}",
        ["hostname"] = Host,
        ["ipv4"] = Ipv4,
        ["ipv6"] = Ipv6,
        ["uri"] = $"[A-Za-z][A-Za-z0-9+.\\-]*:(//(({Named}|:)*@)?{Named}*(:\\d{{0,5}})?(/{UriCharacter}*)*|/?{UriCharacter}+(/{UriCharacter}*)*)"
            + $"(\\?({UriCharacter}|[/?])*)?(#({UriCharacter}|[/?])*)?",
    };

    /// <summary>Formats that the specification defines for strings, besides those.</summary>
    static readonly FrozenSet<string> Unenforced = new[]
    {
        "idn-email", "idn-hostname", "uri-reference", "iri", "iri-reference", "uri-template", "json-pointer", "relative-json-pointer", "regex",
    }.ToFrozenSet();

    /// <summary>Formats of OpenAPI that no string breaks, or that are for numbers.</summary>
    static readonly FrozenSet<string> Harmless = new[] { "password", "binary", "int32", "int64", "float", "double" }.ToFrozenSet();

    static readonly ConcurrentDictionary<string, CharacterAutomaton> Known = new();

    public static IEnumerable<string> Names => Expressions.Keys.Order(StringComparer.Ordinal);

    /// <summary>The format would narrow what is valid, but cannot be enforced.</summary>
    public static bool IsDefined(string format) => Unenforced.Contains(format);

    /// <summary>A name that no specification has; such formats assert nothing.</summary>
    public static bool IsUnknown(string format) => !Expressions.ContainsKey(format) && !Unenforced.Contains(format) && !Harmless.Contains(format);

    /// <summary>Null where the format cannot be enforced.</summary>
    public static CharacterAutomaton? Find(string format) => Expressions.ContainsKey(format) ? Known.GetOrAdd(format, Make) : null;

    static CharacterAutomaton Make(string format)
    {
        var budget = new WorkBudget();
        var automaton = ExpressionCompiler.ToAutomaton(RegexParser.Whole(Expressions[format], budget), budget);
        // There is no year 0 in the Gregorian calendar, and date libraries do not take it.
        return format is "date" or "date-time"
            ? automaton.Except(ExpressionCompiler.ToAutomaton(RegexParser.Whole("0000.*", budget), budget), budget)
            : automaton;
    }
}
