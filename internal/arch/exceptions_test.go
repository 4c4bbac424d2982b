package arch

// exception is a type that is allowed more methods than the others.
type exception struct {
	most int
	why  string
}

// wideInterfaces are the interfaces that may have more methods than maxInterface.
var wideInterfaces = map[string]exception{
	"cmd/rhumb/view.Deployment": {8, "what follows a deployment calls each of them at its own point"},
	"doctor.engine":             {7, "the part of the engine's client that only reads; one method for each kind of thing"},
}

// manyMethods are the types that may have more methods than maxMethods.
var manyMethods = map[string]exception{
	"compose.inspector":                      {42, "one method for each kind of value that can be wrong"},
	"compose/internal/convert.converter":     {93, "one method for each key that is converted"},
	"engine/docker/internal/drawing.drawing": {27, "one method for each part of a container's specification"},
	"httpapi.api":                            {23, "one method for each set of operations"},
	"httpapi/client.Client":                  {51, "the API's sets, one method each"},
	"sqlite.Store":                           {42, "the store's ports, one method each"},
}
