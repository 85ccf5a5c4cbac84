"""A client of libpq for the tests: sessions that can wait for each other, bound
parameters, COPY from and to bytes; and TAP.

    session = Session(user='collector')     PGHOST, PGDATABASE and the rest come from the environment
    session.rows('SELECT 1, $1', 'a')       a list of tuples of text, NULL is None
    session.one('SELECT 1')                 the only value of the only row
    session.run('SET x = 1; BEGIN')         statements without parameters; result as of rows()
    session.binary('SELECT 1')              the same rows as bytes, in binary form, which no setting changes
    session.copy_in('COPY …', data)         session.copy_out('COPY …') gives bytes
    session.start('CALL …')                 sent and not waited for; done() asks, finish() waits
    failure(session.run, 'SELECT 1/0')      the Error of a call, None where it succeeds

Failed statements raise Error, which has the fields of the message.
"""
import ctypes
import os
import select
import sys
import time

pq = ctypes.CDLL('libpq.so.5')
for name, result, arguments in [
    ('PQconnectdb', ctypes.c_void_p, [ctypes.c_char_p]),
    ('PQstatus', ctypes.c_int, [ctypes.c_void_p]),
    ('PQfinish', None, [ctypes.c_void_p]),
    ('PQerrorMessage', ctypes.c_char_p, [ctypes.c_void_p]),
    ('PQbackendPID', ctypes.c_int, [ctypes.c_void_p]),
    ('PQsocket', ctypes.c_int, [ctypes.c_void_p]),
    ('PQsendQuery', ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]),
    ('PQsendQueryParams', ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p,
                                         ctypes.POINTER(ctypes.c_char_p), ctypes.c_void_p, ctypes.c_void_p,
                                             ctypes.c_int]),
    ('PQconsumeInput', ctypes.c_int, [ctypes.c_void_p]),
    ('PQisBusy', ctypes.c_int, [ctypes.c_void_p]),
    ('PQgetResult', ctypes.c_void_p, [ctypes.c_void_p]),
    ('PQresultStatus', ctypes.c_int, [ctypes.c_void_p]),
    ('PQresultErrorField', ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int]),
    ('PQclear', None, [ctypes.c_void_p]),
    ('PQntuples', ctypes.c_int, [ctypes.c_void_p]),
    ('PQnfields', ctypes.c_int, [ctypes.c_void_p]),
    ('PQgetisnull', ctypes.c_int, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
    ('PQgetlength', ctypes.c_int, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
    ('PQgetvalue', ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
    ('PQputCopyData', ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
    ('PQputCopyEnd', ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]),
    ('PQgetCopyData', ctypes.c_int, [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int]),
    ('PQfreemem', None, [ctypes.c_void_p]),
    ('PQgetCancel', ctypes.c_void_p, [ctypes.c_void_p]),
    ('PQcancel', ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
    ('PQfreeCancel', None, [ctypes.c_void_p]),
    ('PQsetNoticeReceiver', ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]),
]:
    getattr(pq, name).restype = result
    getattr(pq, name).argtypes = arguments

CONNECTION_OK = 0
TUPLES_OK, COPY_OUT, COPY_IN, FATAL_ERROR = 2, 3, 4, 7
NOTICE_RECEIVER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


class Error(Exception):
    """What the server says of a failed statement."""

    def __init__(self, result=None, message=''):
        def field(code):
            value = pq.PQresultErrorField(result, ord(code)) if result else None
            return value.decode() if value else ''

        self.sqlstate, self.message = field('C'), field('M') or message
        self.detail, self.hint, self.context = field('D'), field('H'), field('W')
        super().__init__(f'{self.sqlstate} {self.message}')


class Session:
    def __init__(self, user=None, database=None, options=None):
        words = {'user': user, 'dbname': database, 'options': options}
        self.connection = pq.PQconnectdb(' '.join(f"{k}='{v}'" for k, v in words.items() if v).encode())
        if pq.PQstatus(self.connection) != CONNECTION_OK:
            raise Error(message=pq.PQerrorMessage(self.connection).decode())
        self.pid = pq.PQbackendPID(self.connection)
        self.notices = []
        self.receiver = NOTICE_RECEIVER(lambda _, result:
            self.notices.append(pq.PQresultErrorField(result, ord('M')).decode()))
        pq.PQsetNoticeReceiver(self.connection, ctypes.cast(self.receiver, ctypes.c_void_p), None)

    def close(self):
        if self.connection:
            pq.PQfinish(self.connection)
        self.connection = None

    def start(self, statement, *parameters, binary=False):
        if parameters or binary:
            values = (ctypes.c_char_p * len(parameters))(*(None if p is None else str(p).encode() for p in parameters))
            sent = pq.PQsendQueryParams(self.connection, statement.encode(), len(parameters), None, values, None, None,
                int(binary))
        else:
            sent = pq.PQsendQuery(self.connection, statement.encode())
        if not sent:
            raise Error(message=pq.PQerrorMessage(self.connection).decode())

    def done(self, seconds=0):
        """Whether the result is there, or comes within so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            pq.PQconsumeInput(self.connection)
            if not pq.PQisBusy(self.connection):
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            select.select([pq.PQsocket(self.connection)], [], [], left)

    def finish(self, decode=bytes.decode):
        """Wait for the statement that was started; the rows of its last result."""
        rows, error = [], None
        while True:
            result = pq.PQgetResult(self.connection)
            if not result:
                break
            status = pq.PQresultStatus(result)
            if status == FATAL_ERROR:
                error = error or Error(result)
            elif status == TUPLES_OK:
                rows = [tuple(None if pq.PQgetisnull(result, r, c)
                    else decode(ctypes.string_at(pq.PQgetvalue(result, r, c), pq.PQgetlength(result, r, c)))
                              for c in range(pq.PQnfields(result))) for r in range(pq.PQntuples(result))]
            pq.PQclear(result)
            if status in (COPY_IN, COPY_OUT):
                return status
        if error:
            raise error
        return rows

    def rows(self, statement, *parameters):
        self.start(statement, *parameters)
        return self.finish()

    run = rows

    def binary(self, statement):
        self.start(statement, binary=True)
        return self.finish(bytes)

    def one(self, statement, *parameters):
        rows = self.rows(statement, *parameters)
        assert len(rows) == 1 and len(rows[0]) == 1, f'{statement}: {rows}'
        return rows[0][0]

    def copy_in(self, statement, data):
        if self.run(statement) != COPY_IN:
            raise Error(message='not a COPY FROM STDIN: ' + statement)
        pq.PQputCopyData(self.connection, data, len(data))
        pq.PQputCopyEnd(self.connection, None)
        self.finish()

    def copy_out(self, statement):
        if self.run(statement) != COPY_OUT:
            raise Error(message='not a COPY TO STDOUT: ' + statement)
        data, piece = b'', ctypes.c_void_p()
        while (length := pq.PQgetCopyData(self.connection, ctypes.byref(piece), 0)) > 0:
            data += ctypes.string_at(piece, length)
            pq.PQfreemem(piece)
        self.finish()
        return data

    def cancel(self):
        handle, message = pq.PQgetCancel(self.connection), ctypes.create_string_buffer(256)
        pq.PQcancel(handle, message, 256)
        pq.PQfreeCancel(handle)


def failure(call, *arguments):
    try:
        call(*arguments)
    except Error as error:
        return error
    return None


def sqlstate(call, *arguments):
    """The SQLSTATE of a call, 'none' where it succeeds."""
    error = failure(call, *arguments)
    return error.sqlstate if error else 'none'


# ---- TAP ----

checks = {'all': 0, 'bad': 0}


def diag(text):
    print(''.join(f'# {line}\n' for line in str(text).splitlines()), end='', file=sys.stderr, flush=True)


def ok(condition, name, otherwise=''):
    checks['all'] += 1
    checks['bad'] += not condition
    print(f"{'ok' if condition else 'not ok'} {checks['all']} - {name}", flush=True)
    if not condition and otherwise != '':
        diag(otherwise)


def is_(got, expected, name):
    ok(got == expected, name, f'got:\n{got}\nexpected:\n{expected}')


def finish():
    print(f"1..{checks['all']}")
    sys.stdout.flush()
    os._exit(1 if checks['bad'] else 0)
